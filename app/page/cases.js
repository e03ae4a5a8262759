// The Cases page: the address names run, filter and case; every change of it asks the server.
const query = () => location.search.slice(1);
// One request at a time: its answer and its remark never overtake those of an earlier one. The
// page's load is the first.
const PATIENCE = 10000;  // ms until an answer counts as lost
const waiting = [];
let count = 0, asked = {}, timer = null;
const seen = () => document.querySelector(`#cases-message [data-number="${count}"]`);
const answers = new MutationObserver(() => { if (seen()) answered(); });
const listen = () => {
  timer = setTimeout(() => {
    if (asked.act) waiting.unshift(asked);
    answered();
  }, PATIENCE);
  answers.observe(root, {childList: true, subtree: true});
};
const ask = () => {
  if (asked || !waiting.length) return;
  asked = waiting.shift();
  listen();
  trigger("click", {...asked, number: ++count});
};
const answered = () => {
  answers.disconnect();
  clearTimeout(timer);
  asked = null;
  ask();
};
const send = (more = {}) => {
  const last = waiting.at(-1);
  if (last && !last.act && !more.act) waiting.pop();  // an address that was left already
  waiting.push({query: query(), own: window.tokenscope.own(), ...more});
  ask();
};
// A remark belongs to the case that is shown: the address may name the next one already.
const remark = (act, value) => {
  const open = document.getElementById("permalink")?.dataset.query;
  if (act !== "note") save();
  if (open) send({query: open, act, value});
};
let unsaved = null;  // saves the note that is being typed
const save = () => {
  clearTimeout(unsaved?.timer);
  unsaved?.note();
  unsaved = null;
};
const go = (next) => {
  save();
  history.pushState(null, "", location.pathname + "?" + next);  // "?" alone means the base
  send();
};
const typing = (target) => target.matches("input, textarea, select");

const onClick = (event) => {
  const link = event.target.closest("#cases a[data-query], #case a[data-query]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    if (link.closest(".cards")) scrollTo(0, 0);  // the case is shown above the list
    go(link.dataset.query);
  }
  const act = event.target.closest("#case button[data-act]");
  if (act) remark(act.dataset.act, act.dataset.value);
};
const onChange = (event) => {
  const form = event.target.closest("#cases form");
  if (form) {
    const filled = [...new FormData(form)].filter(([name, value]) => value);
    go(new URLSearchParams(filled).toString());
  }
};
const onSubmit = (event) => {
  event.preventDefault();
  const tag = event.target.querySelector("#tag");
  if (tag && tag.value.trim()) remark("tag", tag.value);
};
const onInput = (event) => {
  if (event.target.id !== "note") return;
  clearTimeout(unsaved?.timer);  // saved while it is typed, not for every letter
  const text = event.target.value;
  unsaved = {note: () => remark("note", text), timer: setTimeout(save, 300)};
};
const onKey = (event) => {
  if (event.key === "Escape" && typing(event.target)) return event.target.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const part = {t: "#tag", n: "#note"}[event.key.toLowerCase()];
  const found = document.querySelector(part || `#case [data-key="${CSS.escape(event.key)}"]`);
  if (!found) return;
  event.preventDefault();
  part ? found.focus() : found.click();
};
const root = document.querySelector("gradio-app") || document.body;
const acts = {click: onClick, change: onChange, submit: onSubmit, input: onInput};
for (const [name, act] of Object.entries(acts)) root.addEventListener(name, act);
addEventListener("keydown", onKey);
addEventListener("popstate", () => { save(); send(); });
// A request ends with its tab, except one that the browser sends on. Saving twice does no harm.
addEventListener("pagehide", () => {
  save();
  window.tokenscope.keep([asked, ...waiting].filter((one) => one?.act));
});
seen() ? answered() : listen();
