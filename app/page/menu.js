// The menu of methods. A click changes the chip at once and sends the names of all pressed chips,
// so that two quick clicks cannot lose each other. A chip out of reach sends the ratio it needs.
const all = () => element.querySelector("[popover]");
let open = false, typed = "", scroll = 0, last = null;

const filter = () => {
  const wanted = typed.trim().toLowerCase();
  for (const group of all().querySelectorAll('[role="group"]')) {
    let shown = 0;
    for (const row of group.querySelectorAll("button")) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      shown += !row.hidden;
    }
    group.hidden = !shown;
  }
};

element.addEventListener("click", (event) => {
  const chip = event.target.closest("button[data-name]");
  if (!chip) return;
  const pressed = chip.getAttribute("aria-pressed") !== "true";
  last = chip.dataset.name;
  const on = () => [...all().querySelectorAll('[aria-pressed="true"]')];
  if (pressed && on().length >= Number(element.querySelector(".short").dataset.most)) {
    trigger("click", {methods: [...on().map((one) => one.dataset.name), last], ratio: null});
    return;  // the server says why
  }
  for (const twin of element.querySelectorAll(`[data-name="${CSS.escape(last)}"]`)) {
    twin.setAttribute("aria-pressed", pressed);
  }
  const ratio = pressed && chip.dataset.least ? Number(chip.dataset.least) : null;
  trigger("click", {methods: on().map((one) => one.dataset.name), ratio});
});
element.addEventListener("input", (event) => { typed = event.target.value; filter(); });
element.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && open) event.stopPropagation();  // closes the list, stops no job
});
element.addEventListener("toggle", (event) => {
  const before = open;
  open = event.newState === "open";
  if (open && !before) all().querySelector("input").focus();
}, true);
element.addEventListener("scroll", () => { scroll = all().scrollTop; }, true);

// The answer of the server replaces the chips: the list stays open, and the focus where it was.
new MutationObserver(() => {
  const list = all();
  if (!list) return;
  if (open && !list.matches(":popover-open")) {
    const [text, place] = [typed, scroll];
    list.querySelector("input").value = text;
    filter();
    list.showPopover();
    list.scrollTop = place;
  }
  const lost = !document.activeElement || document.activeElement === document.body;
  const again = `[data-name="${CSS.escape(last ?? "")}"]`;
  if (lost) (open ? list : element).querySelector(again)?.focus({preventScroll: true});
}).observe(element, {childList: true, subtree: true});
