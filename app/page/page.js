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

  // Go to what a button begins, when it appears: the sweep, and on a narrow screen the lanes.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("#compare, #sweep-start")?.id;
    if (!button || (button === "compare" && innerWidth > 1000)) return;
    const [part, sign] = button === "compare"
      ? ["board", '.lane [aria-busy="true"]'] : ["sweep", "#sweep [data-verdict=waiting]"];
    const before = document.querySelector(sign);  // of an earlier one that was stopped
    let tries = 20;
    const timer = setInterval(() => {
      const begun = document.querySelector(sign);
      const isNew = begun && begun !== before;
      if (isNew) document.getElementById(part)?.scrollIntoView();
      if (isNew || --tries === 0) clearInterval(timer);
    }, 150);
  });

  // A recording can be dropped anywhere; other files go on to the part below the pointer.
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    const input = document.querySelector("input[type=file][accept='.zip']:not(#cases-page *)");
    const file = event.dataTransfer?.files[0];
    if (!input || !/\.zip$/i.test(file?.name ?? "")) return;
    event.preventDefault();
    event.stopPropagation();
    event.target.dispatchEvent(new DragEvent("dragleave", {bubbles: true}));
    const chosen = new DataTransfer();
    chosen.items.add(file);
    input.files = chosen.files;
    input.dispatchEvent(new Event("change", {bubbles: true}));
  }, true);

  // The note below the board is saved when the cursor leaves it: it may still be in there.
  addEventListener("pagehide", () => {
    const note = document.activeElement.closest?.("#keep-note textarea");
    const query = document.querySelector("#kept a[data-query]")?.dataset.query;
    if (!note || !query) return;
    window.tokenscope.keep([{query, own: window.tokenscope.own(), act: "note", value: note.value}]);
  });

  const remembered = () => {
    try { return localStorage.getItem("tokenscope-theme"); } catch { return null; }
  };

  const show = (theme) => document.body.classList.toggle("dark", theme === "dark");

  // The form of the comparison on the board: what differs from it makes the board outdated.
  let clicked = null, current = null, onBoard = null;
  const key = (values) => JSON.stringify(values.map((one) => one?.path ?? one?.video?.path ?? one));
  const compareForms = () => {
    document.body.classList.toggle("outdated", onBoard !== null && current !== onBoard);
  };
  const HISTORY = "tokenscope-history", OWN = "tokenscope-own";

  // A new caption means that the server accepted what was asked, and shows it.
  const accepted = new MutationObserver(() => {
    onBoard = clicked ?? onBoard;
    accepted.disconnect();
    compareForms();
  });

  window.tokenscope = {
    // Inputs of the page's load: the comparison that its address names, and this tab's history.
    arrived() {
      // On a phone the first view is the comparison, and the form opens above it.
      if (innerWidth <= 640) document.querySelector("#fold input:not(:checked)")?.click();
      const address = new URLSearchParams(location.search).get("id") ?? "";
      return [address, sessionStorage.getItem(HISTORY) ?? ""];
    },
    // The address bar names the comparison on the board, so that a refresh restores it.
    shown(address, past) {
      const url = new URL(location);
      if (address) url.searchParams.set("id", address); else url.searchParams.delete("id");
      history.replaceState(history.state, "", url);
      sessionStorage.setItem(HISTORY, past);
    },
    asked(...values) {
      clicked = key(values.slice(0, -1));  // without the history
      const parts = {childList: true, subtree: true, attributes: true, characterData: true};
      accepted.observe(document.getElementById("caption"), parts);
      return values;
    },
    changed(...values) { current = key(values); compareForms(); },
    // A refusal, which the status says, has changed neither the form nor the board.
    restored(status, ...values) {
      current = key(values);
      if (onBoard === null || !status?.includes('role="alert"')) onBoard = current;
      compareForms();
    },
    // A secret of this browser: the server finds its cases by it, on every page.
    own() {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      const fresh = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      try {
        if (!localStorage.getItem(OWN)) localStorage.setItem(OWN, fresh);
        return localStorage.getItem(OWN);
      } catch { return (window.tokenscope.secret ??= fresh); }  // for as long as the page is open
    },
    // Save remarks on cases although the page is being closed.
    keep(remarks) {
      const { root, api_prefix: prefix } = window.gradio_config;
      if (remarks.length) fetch(`${root}${prefix}/run/remark`, {
        method: "POST", keepalive: true, headers: {"Content-Type": "application/json"},
        body: JSON.stringify({data: [remarks]}),
      });
    },
    // The new file's address reaches the button a moment after the answer does.
    press(id) { setTimeout(() => press(id), 200); },
    switchTheme() {
      const theme = document.body.classList.contains("dark") ? "light" : "dark";
      try { localStorage.setItem("tokenscope-theme", theme); } catch { /* not remembered */ }
      show(theme);
    },
  };

  // Gradio applies the system's theme when it has started, and when that changes.
  const restore = () => {
    const theme = remembered();
    if (theme && document.body.classList.contains("dark") !== (theme === "dark")) show(theme);
  };
  restore();
  new MutationObserver(restore).observe(document.body, {attributeFilter: ["class"]});
})();
