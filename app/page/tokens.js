// The tokens of all lanes: one can be followed through every lane, at every LLM layer.
(() => {
  const { draw, areaOf } = window.tokenscope;
  const SVG = "http://www.w3.org/2000/svg";
  const KEPT = 2, MERGED = 1;

  const element = (name, text = "", options = {}) =>
    Object.assign(document.createElement(name), { textContent: text }, options);

  const svg = (name, options) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(options)) made.setAttribute(key, value);
    return made;
  };

  const decoded = async (text) => {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(plain).json();
  };

  // What ran in one lane: answers questions about its tokens, and draws nothing.
  class Lane {
    constructor({ tokens, ...rest }) {
      Object.assign(this, rest, { data: tokens });
      const frames = [...new Set(tokens.frame.filter((_, token) => tokens.box[token]))].sort((a, b) => a - b);
      this.byFrame = this.times.map((_, frame) => {
        const own = frames.filter((one) => one <= frame).pop();
        return tokens.frame.flatMap((one, token) => (one === own && tokens.box[token] ? [token] : []));
      });
      this.cache = new Map();
    }

    tokensOn(frame) { return this.byFrame[frame]; }
    stage(layer) { return this.data.stages.filter((one) => one.layer <= layer).pop(); }
    heads(stage) { return this.remember(stage, "groups", () => new Set(stage.groups)); }
    marks(stage) { return this.remember(stage, "marks", () => new Map(stage.marks)); }

    remember(stage, name, make) {
      const key = `${name}${stage.layer}`;
      if (!this.cache.has(key)) this.cache.set(key, make());
      return this.cache.get(key);
    }

    // The palette's row of a survivor; the last one is for survivors without a place.
    tint(survivor) {
      const row = survivor < 0 ? -1 : this.data.colour[survivor];
      return row < 0 ? this.data.palette.length - 1 : row;
    }

    // The token at a place of a frame, in fractions: that with the smallest cell.
    tokenAt({ frame, x, y }) {
      let found = -1, least = Infinity;
      for (const token of this.byFrame[frame] ?? []) {
        const [left, top, right, bottom] = this.data.box[token], area = (right - left) * (bottom - top);
        if (left <= x && x <= right && top <= y && y <= bottom && area < least) [found, least] = [token, area];
      }
      return found;
    }

    centre(token, frame) {
      const [left, top, right, bottom] = this.data.box[token];
      return { frame, x: (left + right) / 2, y: (top + bottom) / 2 };
    }

    // The tokens that a survivor stands for: token -> weight.
    members(stage, survivor) {
      const own = stage.weights[survivor];
      if (!own) return new Map([[survivor, 1]]);
      const sums = new Map();
      for (const [token, weight] of own) sums.set(token, (sums.get(token) ?? 0) + weight);
      return sums;
    }

    // All survivors that hold some of a token.
    holders(stage, token) {
      return Object.keys(stage.weights).map(Number)
        .filter((survivor) => stage.weights[survivor].some(([member]) => member === token));
    }

    where(token) {
      const { grid, frame, box } = this.data, clip = this.times.length > 1;
      if (token < 0 || !box[token]) return "a survivor without a place";
      const time = clip ? ` at ${this.times[frame[token]]}` : "";
      if (!grid) return `the survivor${time} at ${box[token].slice(0, 2).map((one) => Math.round(100 * one)).join(", ")} %`;
      const first = box.findIndex((one) => one), place = (token - first) % (grid[1] * grid[2]);
      return `the survivor${time} in row ${Math.floor(place / grid[2]) + 1}, column ${(place % grid[2]) + 1}`;
    }

    // What became of a token up to a layer, in words.
    describe(token, layer) {
      if (token < 0) return "No token lies here.";
      const stage = this.stage(layer), fate = stage.fate[token], left = this.data.left[token];
      const parts = [];
      if (fate === KEPT) {
        const count = this.members(stage, token).size, kind = stage.kinds[token];
        parts.push(`Kept${kind ? ` as ${kind}` : ""}${count > 1 ? `, stands for ${count} tokens` : ""}`);
      } else if (fate === MERGED) {
        const survivor = stage.survivor[token], members = this.members(stage, survivor);
        const total = [...members.values()].reduce((sum, one) => sum + Math.abs(one), 0);
        const share = (100 * Math.abs(members.get(token) ?? 0)) / total, others = this.holders(stage, token).length - 1;
        parts.push(`Merged into ${this.where(survivor)}: ${share.toPrecision(2)} % of its weight` +
          (others > 0 ? `, and into ${others} more` : ""));
      }
      if (left < this.data.layers)
        parts.push(`${parts.length ? "dropped" : "Dropped"} before ${left ? `LLM layer ${left}` : "the LLM"}` +
          (parts.length ? " later" : ""));
      const { score, rank } = this.data;
      if (rank?.[token])
        parts.push(`score ${score[token].toPrecision(3)}, rank ${rank[token]} of ${rank.filter((one) => one).length}`);
      return `${parts.join(" · ")}.`;
    }

    legend(view, layer) {
      const stage = this.stage(layer), clip = this.times.length > 1;
      if (view === "scores") return this.data.scores;
      if (view === "picture") return "as the model saw it";
      if (view === "tokens") return stage.legend;
      const count = this.boxes.length, found = count ? `${count} box${count > 1 ? "es" : ""} in the answer` : "no box to draw";
      return found + (this.truth ? " · true box" : "") + (clip ? ` · on the last frame, at ${this.times.at(-1)}` : "");
    }

    help(view) {
      return view === "tokens" || view === "scores" ? ". Arrow keys follow a token, Enter enlarges" : ". Enter enlarges";
    }

    count(frame, layer) {
      const tokens = this.tokensOn(frame), { fate } = this.stage(layer);
      return `${tokens.filter((token) => fate[token] === KEPT).length} of ${tokens.length}`;
    }
  }

  // One lane's frames on the page, with the token that is followed.
  class LaneView {
    constructor(figure, lane, images, size) {
      Object.assign(this, { figure, lane, images, size });
      this.plates = lane.times.map((time, frame) => this.plate(frame));
      const clip = lane.times.length > 1;
      this.frames = element(clip ? "ol" : "div", "", { className: clip ? "strip" : "single" });
      this.plates.forEach((plate, frame) => {
        const item = element(clip ? "li" : "div");
        item.append(plate.box);
        if (clip) item.append(plate.text = element("span", "", { title: `Frame ${frame + 1}: its time, and how many of its tokens are kept` }));
        this.frames.append(item);
      });
      this.note = element("p", "", { className: "fate" });
      this.caption = element("figcaption");
    }

    plate(frame) {
      const box = element("div", "", { className: "plate", tabIndex: frame ? -1 : 0 });
      const canvas = element("canvas"), marks = svg("svg", { "aria-hidden": "true", preserveAspectRatio: "none" });
      box.setAttribute("role", "img");
      box.append(canvas, marks);
      return { box, canvas, marks, frame };
    }

    draw(view, layer) {
      const { lane } = this, stage = lane.stage(layer), legend = lane.legend(view, layer);
      this.figure.dataset.view = view;
      for (const plate of this.plates) {
        plate.area = draw(plate.canvas, lane, plate.frame, this.images[plate.frame], view, stage, this.size);
        plate.marks.setAttribute("viewBox", `0 0 ${plate.area.width} ${plate.area.height}`);
        const time = plate.text ? `, frame ${plate.frame + 1} at ${lane.times[plate.frame]}` : "";
        plate.box.setAttribute("aria-label", `${lane.title}, ${view}${time}: ${legend}${lane.help(view)}`);
        plate.text?.replaceChildren(element("b", lane.times[plate.frame]), ` ${lane.count(plate.frame, layer)}`);
      }
      this.caption.replaceChildren(...legend.split(" · ").map((fact) => {
        const span = element("span"), word = fact.split(" ")[0];
        if (["kept", "merged", "dropped"].includes(word)) span.append(element("i", "", { className: `key ${word}` }));
        if (fact === "true box") span.append(element("i", "", { className: "key true" }));
        const meaning = Object.entries(lane.data.meanings).find(([words]) => fact.includes(words));
        if (meaning && view === "tokens") span.title = meaning[1];
        span.append(fact + (word === "merged" && stage.groups.length ? ": in the colour of their survivor" : ""));
        return span;
      }));
      this.figure.dataset.drawn = view;
    }

    // Mark the token at a place with all that its survivor stands for; null marks none.
    follow(place, layer) {
      const { lane } = this, stage = lane.stage(layer), token = place ? lane.tokenAt(place) : -1;
      this.note.textContent = place ? lane.describe(token, layer) : "";
      const survivor = token < 0 ? -1 : stage.survivor[token];
      const lit = survivor >= 0 ? lane.members(stage, survivor) : new Map();
      const colour = survivor >= 0 ? lane.data.palette[lane.tint(survivor)] : "#fff";
      for (const plate of this.plates) plate.marks.replaceChildren(...(token < 0 ? [] : this.marked(plate, token, survivor, lit, colour)));
    }

    marked({ frame, area }, token, survivor, lit, colour) {
      const { lane } = this, own = new Set(lane.tokensOn(frame));
      const rect = (one) => {
        const [left, top, right, bottom] = area.pixels(lane.data.box[one]);
        return `M${left} ${top}H${right}V${bottom}H${left}Z`;
      };
      const line = (path, paint, width, dash = "none") =>
        svg("path", { d: path, fill: "none", stroke: paint, "stroke-width": width * area.unit, "stroke-dasharray": dash });
      const here = [...lit.keys()].filter((one) => own.has(one)), members = here.map(rect).join("");
      const whole = `M0 0H${area.width}V${area.height}H0Z`;
      const made = [svg("path", { d: whole + members + (own.has(token) && !lit.has(token) ? rect(token) : ""),
                                  "fill-rule": "evenodd", fill: "#000", "fill-opacity": 0.6 })];
      made.push(line(members, colour, 1));
      if (own.has(survivor) && own.has(token) && survivor !== token) {
        const [from, to] = [token, survivor].map((one) => {
          const [left, top, right, bottom] = area.pixels(lane.data.box[one]);
          return `${(left + right) / 2} ${(top + bottom) / 2}`;
        });
        made.push(line(`M${from}L${to}`, "#000", 3), line(`M${from}L${to}`, "#fff", 1.5));
      }
      if (own.has(survivor)) made.push(line(rect(survivor), "#fff", 4), line(rect(survivor), colour, 2));
      if (own.has(token)) {
        const dash = survivor < 0 ? `${3 * area.unit} ${2 * area.unit}` : "none";
        made.push(line(rect(token), "#000", 4), line(rect(token), "#fff", 2, dash));
      }
      return made;
    }
  }

  Object.assign(window.tokenscope, { Lane, LaneView, decoded, element, areaOf });
})();
