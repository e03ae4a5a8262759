// The analysis: one LLM layer and one word of each answer for all attention maps and charts.
(() => {
  const { Lane, LaneView, decoded, element } = window.tokenscope;
  const SVG = "http://www.w3.org/2000/svg", DROPPED = 0;
  const shown = new Map(); // figure -> InsideView, in the order of the lanes
  const state = { layer: 0, place: null };
  let waiting = 0; // the frame in which the cursor is drawn again
  let drag = null; // { plate, from, to } while a person draws the object's box

  const root = () => document.getElementById("analysis");
  const percent = (share) => `${Number((100 * share).toPrecision(2))}\u00a0%`;
  const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

  // A lane that draws the attention of its answer instead of fates.
  class InsideLane extends Lane {
    constructor({ attention, ...rest }) {
      super(rest);
      this.attention = attention;
      this.maps = bytes(attention.maps); // (1 + words, L, N), the first of the whole answer
      this.said = new Int32Array(bytes(attention.said).buffer); // (L, N)
      this.word = 0;
    }

    at(layer) { return Math.min(layer, this.attention.layers - 1); }
    share(token) {
      if (token < 0 || this.stage(this.at(state.layer)).fate[token] === DROPPED) return -1;
      const { layers, count } = this.attention;
      return this.maps[(this.word * layers + this.at(state.layer)) * count + token] / 255;
    }
    most() { return this.attention.most[this.word][this.at(state.layer)]; }
    value(token) { return Math.max(this.share(token), 0) ** 2 * this.most(); }
    sum(tokens) { return tokens.reduce((sum, token) => sum + this.value(token), 0); }
    help() { return ". Point at a token to read its attention"; }
    count(frame) { return percent(this.sum(this.tokensOn(frame))); }

    legend() {
      const all = this.sum(this.data.box.map((_, token) => token));
      return `${percent(all)} of the attention on visual tokens · bright: up to ${percent(this.most())} on one`;
    }

    describe(token, layer) {
      if (token < 0) return "No token lies here.";
      const at = this.at(layer), stage = this.stage(at), survivor = stage.survivor[token];
      if (stage.fate[token] === DROPPED || survivor < 0) return "Dropped before this layer.";
      const members = this.members(stage, survivor).size, word = this.said[at * this.attention.count + survivor];
      const spread = members > 1
        ? `, of a survivor that stands for ${members} tokens: its attention is drawn over them by provenance weights` : "";
      const said = word < 0 ? "" : ` Its state would say “${this.attention.vocabulary[word]}”.`;
      return `${percent(this.value(token))} of the attention${spread}.${said}`;
    }
  }

  class InsideView extends LaneView {
    constructor(figure, lane, images) {
      super(figure, lane, images, lane.side);
      this.words = element("p", "", { className: "words" });
      this.words.setAttribute("role", "group");
      this.words.setAttribute("aria-label", "Look from");
      ["whole answer", ...lane.attention.words].forEach((word, index) => {
        const button = element("button", word, { type: "button" });
        button.dataset.word = index;
        this.words.append(button);
      });
      if (lane.attention.left_out) this.words.append(` ${lane.attention.left_out} further words`);
      this.look(0);
      for (const plate of this.plates) plate.box.title = "Attention on a survivor is drawn over its catchment, by provenance weights";
    }

    look(word) {
      this.lane.word = word;
      this.words.querySelectorAll("button").forEach((button, index) => button.setAttribute("aria-pressed", index === word));
    }

    // With the object's box on the last frame.
    follow(place, layer) {
      super.follow(place, layer);
      const box = drag?.box ?? this.lane.object, plate = this.plates.at(-1);
      if (!box) return;
      const [left, top, right, bottom] = plate.area.pixels(box);
      for (const [colour, dash] of [["#000", ""], ["#fff", "6 6"]]) {
        const rect = document.createElementNS(SVG, "rect");
        const looks = { x: left, y: top, width: right - left, height: bottom - top, fill: "none", stroke: colour,
                        "stroke-width": 2 * plate.area.unit, "stroke-dasharray": dash };
        for (const [name, value] of Object.entries(looks)) rect.setAttribute(name, value);
        plate.marks.append(rect);
      }
    }
  }

  const lanes = () => [...shown.values()].map(({ lane }) => lane);
  const deepest = () => Math.max(1, ...lanes().map((lane) => lane.attention.layers)) - 1;

  const drawAll = () => {
    const object = root()?.querySelector("form.object input")?.value.split(",").map((edge) => Number(edge) / 100);
    for (const view of shown.values()) {
      view.lane.object = object?.length === 4 && object.every(Number.isFinite) ? object : null;
      view.draw("attention", view.lane.at(state.layer));
      view.follow(state.place, state.layer);
    }
    showCursor();
  };

  // The layer's line in every chart of the LLM, and the lanes' values there.
  const showCursor = () => {
    const slider = root()?.querySelector("#analysis-cursor input");
    if (!slider) return;
    slider.max = deepest();
    slider.value = state.layer;
    slider.setAttribute("aria-valuetext", `LLM layer ${state.layer} of ${deepest()}`);
    root().querySelector("#analysis-cursor output").textContent = `${state.layer} of ${deepest()}`;
    for (const output of root().querySelectorAll("output[data-measure]")) {
      const llm = output.dataset.part === "llm", cell = output.closest(".measure"), area = areaOf(cell);
      output.replaceChildren(...lanes().map((lane) => {
        const curve = (llm ? lane.attention.curves : lane.attention.encoder)[output.dataset.measure];
        const value = llm ? curve?.[lane.at(state.layer)] : null;
        const part = element("span", value == null ? lane.title : `${lane.title} ${Number(value.toPrecision(3))}`);
        part.style.setProperty("--lane", lane.colour);
        return part;
      }));
      if (!llm || !area) continue;
      const line = cell.querySelector(":scope > i") ?? cell.appendChild(element("i"));
      const edges = cell.getBoundingClientRect(), share = state.layer / deepest();
      Object.assign(line.style, { left: `${area.left - edges.left + share * area.width}px`,
                                  top: `${area.top - edges.top}px`, height: `${area.height}px` });
    }
  };

  // The plotting area of a chart on the screen, without axes.
  const areaOf = (cell) => cell.querySelector("svg.marks path.background")?.getBoundingClientRect();

  // Lanes that have come or gone.
  const refresh = async () => {
    for (const figure of shown.keys()) if (!figure.isConnected) shown.delete(figure);
    const fresh = [...document.querySelectorAll("#analysis figure[data-inside]:not([data-begun])")];
    if (!fresh.length) return;
    for (const figure of fresh) figure.dataset.begun = "yes";
    if (!shown.size) Object.assign(state, { layer: 0, place: null });
    for (const figure of fresh) {
      const images = [...figure.querySelectorAll(".frames img")];
      await Promise.all(images.map((image) => image.decode()));
      const view = new InsideView(figure, new InsideLane(await decoded(figure.dataset.inside)), images);
      figure.replaceChildren(...figure.querySelectorAll(".frames"), view.words, view.frames, view.caption, view.note);
      shown.set(figure, view);
    }
    const order = [...document.querySelectorAll("#analysis figure[data-inside]")].filter((figure) => shown.has(figure));
    const views = order.map((figure) => [figure, shown.get(figure)]);
    shown.clear();
    for (const [figure, view] of views) shown.set(figure, view);
    drawAll();
  };

  const plateOf = (target) => {
    const box = target.closest?.("#analysis .plate");
    for (const view of box ? shown.values() : [])
      for (const plate of view.plates) if (plate.box === box) return { view, plate };
    return null;
  };

  const placeOn = ({ box, area, frame }, event) => {
    const edges = box.getBoundingClientRect();
    const [x, y] = area.place((event.clientX - edges.left) / edges.width, (event.clientY - edges.top) / edges.height);
    return { frame, x, y };
  };

  const moveTo = (layer) => {
    const next = Math.min(Math.max(Math.round(layer), 0), deepest());
    if (next === state.layer) return;
    state.layer = next;
    drawAll();
  };

  const dragTo = (event) => {
    const { x, y } = placeOn(drag.plate, event), within = (edge) => Math.min(Math.max(edge, 0), 1);
    const xs = [drag.from.x, x].map(within).sort((a, b) => a - b), ys = [drag.from.y, y].map(within).sort((a, b) => a - b);
    drag.box = [xs[0], ys[0], xs[1], ys[1]];
    for (const view of shown.values()) view.follow(null, state.layer);
  };

  document.addEventListener("pointermove", (event) => {
    if (!shown.size) return;
    if (drag) return dragTo(event);
    const chart = event.target.closest?.("#analysis .measure:has(output[data-part=llm])"), area = chart && areaOf(chart);
    if (area) moveTo(((event.clientX - area.left) / area.width) * deepest());
    const found = event.pointerType === "touch" ? null : plateOf(event.target);
    if (!found && !state.place) return;
    state.place = found && placeOn(found.plate, event);
    for (const view of shown.values()) view.follow(state.place, state.layer);
  });

  document.addEventListener("pointerdown", (event) => {
    const found = root()?.classList.contains("boxing") ? plateOf(event.target) : null;
    if (!found) return;
    event.preventDefault();
    const plate = found.view.plates.at(-1);
    if (found.plate === plate) drag = { plate, from: placeOn(plate, event) };
  });

  document.addEventListener("pointerup", () => {
    const box = drag?.box;
    drag = null;
    if (!box) return;
    const form = root().querySelector("form.object");
    form.querySelector("input").value = box.map((edge) => Math.round(1000 * edge) / 10).join(", ");
    boxing(false);
    drawAll();
    form.requestSubmit();
  });

  const boxing = (on) => {
    root().classList.toggle("boxing", on);
    root().querySelector("form.object .draw")?.setAttribute("aria-pressed", on);
  };

  document.addEventListener("click", (event) => {
    const word = event.target.closest?.("#analysis .words button");
    if (word) {
      const view = shown.get(word.closest("figure"));
      view.look(Number(word.dataset.word));
      drawAll();
    } else if (event.target.closest?.("#analysis form.object .draw")) {
      boxing(!root().classList.contains("boxing"));
    } else if (event.target.closest?.("#analyse")) {
      let tries = 40;
      const timer = setInterval(() => {
        if (root()?.offsetParent) root().scrollIntoView({ behavior: "smooth", block: "start" });
        if (root()?.offsetParent || --tries === 0) clearInterval(timer);
      }, 150);
    }
  });

  document.addEventListener("input", (event) => {
    if (event.target.matches?.("#analysis-cursor input")) moveTo(Number(event.target.value));
  });

  // A chart is drawn a while after its data has come; the values at the cursor change without one.
  const isChart = ({ target }) => target.closest?.("#analysis-measures") && !target.closest("output");
  new MutationObserver((changes) => {
    refresh();
    if (waiting || !shown.size || !changes.some(isChart)) return;
    waiting = requestAnimationFrame(() => {
      waiting = 0;
      showCursor();
    });
  }).observe(document.documentElement, { childList: true, subtree: true });
  addEventListener("resize", () => shown.size && setTimeout(showCursor, 400)); // once charts fit
})();
