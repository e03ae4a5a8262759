// Keyboard and theme. Everything else on the page is the server's.
(() => {
  const press = (id) => {
    const button = document.getElementById(id);
    if (button && !button.disabled) button.click();
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") press("stop");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) press("compare");
  });

  // On a narrow screen the lanes are below the form: go there, once they stand there.
  document.addEventListener("click", (event) => {
    if (innerWidth > 1000 || !event.target.closest("#compare")) return;
    let tries = 20;
    const timer = setInterval(() => {
      const begun = document.querySelector('.lane [aria-busy="true"]');
      if (begun) document.getElementById("board")?.scrollIntoView();
      if (begun || --tries === 0) clearInterval(timer);
    }, 150);
  });

  const remembered = () => {
    try { return localStorage.getItem("tokenscope-theme"); } catch { return null; }
  };

  const show = (theme) => document.body.classList.toggle("dark", theme === "dark");

  window.tokenscope = {
    // The new file's address reaches the button a moment after the answer does.
    press(id) { setTimeout(() => press(id), 200); },
    switchTheme() {
      const theme = document.body.classList.contains("dark") ? "light" : "dark";
      try { localStorage.setItem("tokenscope-theme", theme); } catch { /* not remembered */ }
      show(theme);
    },
  };

  addEventListener("load", () => { if (remembered()) show(remembered()); });
})();
