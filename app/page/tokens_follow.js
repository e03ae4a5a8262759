// Pointer, keyboard and large view: one view, one layer and one followed token for all lanes.
(() => {
  const { Lane, LaneView, decoded, element, areaOf } = window.tokenscope;
  const LARGE = 1600, ZOOMS = [1, 1.5, 2, 3, 4];
  const shown = new Map(); // figure -> LaneView, in the order of the lanes
  const state = { view: "tokens", layer: Infinity, place: null, pinned: false };
  let large = null; // { dialog, view, figure, zoom } while a lane is enlarged

  const views = () => (large?.view ? [...shown.values(), large.view] : [...shown.values()]);
  const deepest = () => Math.max(1, ...[...shown.values()].map(({ lane }) => lane.data.layers)) - 1;
  const layer = () => Math.min(state.layer, deepest());
  const answers = () => state.view === "tokens" || state.view === "scores";

  const drawAll = () => {
    state.view = chosen();
    for (const view of views()) view.draw(state.view, layer());
    followAll();
    showLayer();
  };

  const chosen = () => document.querySelector("#view input:checked")?.value ?? state.view;

  const followAll = (place = state.place) => {
    const start = performance.now();
    for (const view of views()) view.follow(answers() ? place : null, layer());
    state.took = performance.now() - start; // read by the test of the answer's time
  };

  const showLayer = () => {
    const last = deepest(), at = layer();
    const text = at === last ? `LLM layer ${last}, the last` : `LLM layer ${at} of ${last}`;
    for (const slider of document.querySelectorAll(".layer input")) {
      slider.max = last;
      slider.value = at;
      slider.setAttribute("aria-valuetext", text);
    }
    for (const output of document.querySelectorAll(".layer output")) output.textContent = text;
    for (const part of document.querySelectorAll(".layer")) part.hidden = state.view !== "tokens";
  };

  // Lanes that have come or gone.
  const refresh = async () => {
    for (const figure of shown.keys()) if (!figure.isConnected) shown.delete(figure);
    const images = [...document.querySelectorAll("#lanes .frames img")];
    const figures = [...document.querySelectorAll("#lanes figure[data-lane]")];
    const fresh = figures.filter((figure) => !figure.dataset.begun);
    if (shown.size && chosen() !== state.view) drawAll(); // the server has changed the view
    if (!images.length || !fresh.length) return;
    for (const figure of fresh) figure.dataset.begun = "yes";
    await Promise.all(images.map((image) => image.decode()));
    for (const figure of fresh) {
      const lane = new Lane(await decoded(figure.dataset.lane));
      const view = new LaneView(figure, lane, images, lane.side);
      const enlarge = element("button", "Enlarge", { className: "enlarge", type: "button" });
      enlarge.setAttribute("aria-label", `Enlarge ${lane.title}`);
      figure.replaceChildren(...figure.querySelectorAll(".frames"), enlarge, view.frames, view.caption, view.note);
      shown.set(figure, view);
    }
    const order = figures.filter((figure) => shown.has(figure)).map((figure) => [figure, shown.get(figure)]);
    shown.clear();
    for (const [figure, view] of order) shown.set(figure, view);
    Object.assign(state, { place: null, pinned: false });
    drawAll();
  };

  const found = (target) => {
    const box = target.closest?.(".plate");
    for (const view of box ? views() : [])
      for (const plate of view.plates) if (plate.box === box) return { view, plate };
    return null;
  };

  const placeUnder = (event) => {
    const at = found(event.target);
    if (!at) return null;
    const edges = at.plate.box.getBoundingClientRect();
    const [x, y] = at.plate.area.place((event.clientX - edges.left) / edges.width, (event.clientY - edges.top) / edges.height);
    return { frame: at.plate.frame, x, y };
  };

  document.addEventListener("pointermove", (event) => {
    if (!shown.size || state.pinned || event.pointerType === "touch") return;
    const place = placeUnder(event);
    if (!place && !state.place) return;
    state.place = place;
    followAll();
  });

  document.addEventListener("click", (event) => {
    const figure = event.target.closest?.("figure.pictures");
    if (event.target.closest?.(".enlarge")) return enlarge(figure);
    const place = placeUnder(event);
    if (!place) return;
    if (!answers()) return large || enlarge(figure);
    const same = state.pinned && found(event.target).view.lane.tokenAt(place) === found(event.target).view.lane.tokenAt(state.place);
    Object.assign(state, { place: same ? null : place, pinned: !same });
    followAll();
  });

  document.addEventListener("dblclick", (event) => {
    if (!large && found(event.target)) enlarge(event.target.closest("figure.pictures"));
  });

  document.addEventListener("input", (event) => {
    if (event.target.closest?.(".layer")) state.layer = Number(event.target.value);
    else if (!event.target.closest?.("#view")) return;
    if (state.layer === deepest()) state.layer = Infinity;
    drawAll();
  });

  // Follow the next token in a direction, from the followed one or from the middle.
  const step = ({ view, plate }, dx, dy) => {
    const { lane } = view;
    let token = state.place?.frame === plate.frame ? lane.tokenAt(state.place) : -1;
    const from = token < 0 ? { frame: plate.frame, x: 0.5, y: 0.5 } : lane.centre(token, plate.frame);
    if (token >= 0) {
      const [left, top, right, bottom] = lane.data.box[token];
      const there = { ...from, x: from.x + dx * (right - left), y: from.y + dy * (bottom - top) };
      if (lane.tokenAt(there) >= 0) Object.assign(from, there);
    }
    Object.assign(state, { place: from, pinned: true });
    followAll();
    say([...shown.values()].map((one) => `${one.lane.title}: ${one.note.textContent}`).join(" "));
  };

  const say = (text) => {
    let region = document.getElementById("followed");
    if (!region) {
      region = element("p", "", { id: "followed", className: "reader" });
      region.setAttribute("role", "status");
      document.body.append(region);
    }
    region.textContent = text;
  };

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  // Keys of the large view, or of a frame that has the focus; true = the key was meant for them.
  const press = (event) => {
    const arrow = ARROWS[event.key], at = found(event.target);
    if (large) {
      if (event.key === "Escape") large.dialog.close();
      else if (event.target.matches("input")) return false; // the slider has its own keys
      else if (arrow?.[0]) turn(arrow[0]);
      else if (arrow) shift(-arrow[1]);
      else if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1 : -1);
      else return false;
      return true;
    }
    if (event.key === "Escape" && state.pinned) {
      Object.assign(state, { place: null, pinned: false });
      followAll();
      return true;
    }
    if (!at) return false;
    if (event.key === "Enter") enlarge(at.view.figure);
    else if (arrow && answers()) step(at, ...arrow);
    else if (event.key === "PageUp" || event.key === "PageDown") {
      const next = at.view.plates[at.plate.frame + (event.key === "PageDown" ? 1 : -1)];
      if (!next) return false;
      next.box.focus();
      if (state.place) Object.assign(state.place, { frame: next.frame });
      followAll();
    } else return false;
    return true;
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !press(event)) return;
    event.preventDefault();
    event.stopPropagation(); // Escape would also press Stop
  }, true);

  const shift = (by) => {
    state.layer = Math.min(Math.max(layer() + by, 0), deepest());
    if (state.layer === deepest()) state.layer = Infinity;
    drawAll();
  };

  const turn = (by) => {
    const figures = [...shown.keys()], index = figures.indexOf(large.figure) + by;
    open(figures[(index + figures.length) % figures.length]);
  };

  const zoom = (by) => {
    const index = Math.min(Math.max(ZOOMS.indexOf(large.zoom) + by, 0), ZOOMS.length - 1);
    large.zoom = ZOOMS[index];
    large.dialog.style.setProperty("--zoom", large.zoom);
    large.dialog.querySelector("output.zoom").textContent = `${100 * large.zoom} %`;
  };

  const button = (text, label, act) => {
    const made = element("button", text, { type: "button", title: label, onclick: act });
    made.setAttribute("aria-label", label);
    return made;
  };

  const enlarge = (figure) => {
    if (!shown.has(figure)) return;
    const dialog = element("dialog", "", { className: "large" });
    large = { dialog, view: null, figure, zoom: 1 };
    dialog.addEventListener("close", () => {
      dialog.remove();
      large = null;
      shown.get(figure)?.plates[0].box.focus();
    });
    document.body.append(dialog);
    dialog.showModal();
    open(figure);
    zoom(0);
  };

  // Put a lane into the large view.
  const open = (figure) => {
    const { lane, images } = shown.get(figure), { dialog } = large;
    const title = element("h2", lane.title, { tabIndex: -1 }), head = element("header"), stage = element("figure", "", { className: "pictures" });
    const many = lane.times.length > 1, zoomed = element("output", `${100 * large.zoom} %`, { className: "zoom" });
    const slider = document.querySelector("#layer .layer")?.cloneNode(true) ?? "";
    head.append(
      button("‹", "Previous lane", () => turn(-1)), title, button("›", "Next lane", () => turn(1)), slider,
      button("−", "Smaller", () => zoom(-1)), zoomed, button("+", "Larger", () => zoom(1)),
      button("Close", "Close the large view", () => dialog.close()));
    Object.assign(large, { figure, view: new LaneView(stage, lane, images, many ? LARGE / 3 : LARGE) });
    const { view } = large, scroll = element("div", "", { className: "scroll" });
    scroll.append(view.frames);
    stage.append(scroll, view.caption, view.note);
    dialog.setAttribute("aria-label", `${lane.title}, enlarged`);
    dialog.style.setProperty("--aspect", lane.data.aspect[0] / lane.data.aspect[1]);
    dialog.replaceChildren(head, stage);
    drawAll();
    title.focus();
  };

  new MutationObserver(refresh).observe(document.documentElement, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["class"],
  });
  Object.assign(window.tokenscope, { followed: state });
})();
