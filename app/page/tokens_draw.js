// Draws the tokens, scores or boxes of one frame, as app/render/overlay.py draws them in files.
(() => {
  const KEPT = 2, MERGED = 1, DROPPED = 0;
  const PADDING = "#808080";
  const HEAT = 0.62; // opacity of scores over the grey picture

  // The drawing area of a frame: its size in pixels, and the pixels of a box (app/render/canvas.py).
  const areaOf = ({ extent: [left, top, right, bottom], aspect }, size) => {
    const wide = (right - left) * aspect[0], tall = (bottom - top) * aspect[1];
    const scale = size / Math.max(wide, tall);
    const width = Math.max(1, Math.round(wide * scale)), height = Math.max(1, Math.round(tall * scale));
    return {
      width,
      height,
      unit: Math.max(1, Math.round(Math.max(width, height) / 480)),
      pixels: ([x0, y0, x1, y1]) => [
        Math.round(((x0 - left) / (right - left)) * width),
        Math.round(((y0 - top) / (bottom - top)) * height),
        Math.round(((x1 - left) / (right - left)) * width),
        Math.round(((y1 - top) / (bottom - top)) * height),
      ],
      place: (x, y) => [left + x * (right - left), top + y * (bottom - top)],
    };
  };

  // The frame cut along all edges of cells. Each tile belongs to the token with the smallest cell.
  const tilesOf = (tokens, cells, { width, height }) => {
    const within = (edge, most) => Math.min(Math.max(edge, 0), most);
    const edges = (low, high, most) =>
      [...new Set([0, most, ...cells.flatMap((cell) => [within(cell[low], most), within(cell[high], most)])])]
        .sort((a, b) => a - b);
    const xs = edges(0, 2, width), ys = edges(1, 3, height);
    const column = new Map(xs.map((x, index) => [x, index])), row = new Map(ys.map((y, index) => [y, index]));
    const across = xs.length - 1, owner = new Int32Array(across * (ys.length - 1)).fill(-1);
    const area = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);
    const order = tokens.map((_, index) => index).sort((a, b) => area(cells[b]) - area(cells[a]) || a - b);
    for (const index of order) {
      const [x0, y0, x1, y1] = cells[index];
      for (let y = row.get(within(y0, height)); y < row.get(within(y1, height)); y++)
        owner.fill(tokens[index], y * across + column.get(within(x0, width)),
                   y * across + column.get(within(x1, width)));
    }
    return { xs, ys, across, owner };
  };

  // The tiles whose token has a property, as one path.
  const pathOf = ({ xs, ys, across, owner }, has) => {
    const path = new Path2D();
    owner.forEach((token, index) => {
      if (!has(token)) return;
      const x = index % across, y = Math.floor(index / across);
      path.rect(xs[x], ys[y], xs[x + 1] - xs[x], ys[y + 1] - ys[y]);
    });
    return path;
  };

  // Strips inside the tiles that have a property, along their borders with tiles of another key.
  const bordersOf = ({ xs, ys, across, owner }, has, key, width) => {
    const path = new Path2D(), down = ys.length - 1;
    owner.forEach((token, index) => {
      if (!has(token)) return;
      const x = index % across, y = Math.floor(index / across), own = key(token);
      const [left, top, right, bottom] = [xs[x], ys[y], xs[x + 1], ys[y + 1]];
      const w = Math.min(width, right - left), h = Math.min(width, bottom - top);
      const differs = (there, inside) => !inside || key(owner[there]) !== own;
      if (differs(index - 1, x > 0)) path.rect(left, top, w, bottom - top);
      if (differs(index + 1, x + 1 < across)) path.rect(right - w, top, w, bottom - top);
      if (differs(index - across, y > 0)) path.rect(left, top, right - left, h);
      if (differs(index + across, y + 1 < down)) path.rect(left, bottom - h, right - left, h);
    });
    return path;
  };

  const patternOf = (context, side, colourAt) => {
    const tile = document.createElement("canvas");
    tile.width = tile.height = side;
    const paint = tile.getContext("2d");
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) {
        paint.fillStyle = colourAt(x, y);
        paint.fillRect(x, y, 1, 1);
      }
    return context.createPattern(tile, "repeat");
  };

  const grey = (context, path) => {
    context.globalCompositeOperation = "saturation";
    context.fillStyle = "#000";
    context.fill(path);
    context.globalCompositeOperation = "source-over";
  };

  const fill = (context, path, colour) => {
    context.fillStyle = colour;
    context.fill(path);
  };

  const drawFates = (context, lane, stage, tiles, unit) => {
    const { fate, survivor } = stage, heads = lane.heads(stage);
    const kept = (t) => t >= 0 && fate[t] === KEPT, merged = (t) => t >= 0 && fate[t] === MERGED;
    const dropped = pathOf(tiles, (t) => t >= 0 && fate[t] === DROPPED);
    grey(context, dropped);
    fill(context, dropped, patternOf(context, 5 * unit, (x, y) =>
      (x + y) % (5 * unit) < unit ? "rgba(94,94,94,.66)" : "rgba(22,22,22,.72)"));
    lane.data.palette.forEach((colour, index) => {
      const tinted = pathOf(tiles, (t) => merged(t) && lane.tint(survivor[t]) === index);
      fill(context, tinted, colour + "80");
    });
    fill(context, bordersOf(tiles, (t) => kept(t) && !heads.has(t), (t) => t, 1), "rgba(240,240,240,.25)");
    fill(context, bordersOf(tiles, merged, (t) => t, 1), "rgba(0,0,0,.2)");
    const group = (t) => (t >= 0 && fate[t] > DROPPED ? survivor[t] : -2);
    fill(context, bordersOf(tiles, merged, group, unit), patternOf(context, 2 * unit, (x, y) =>
      x < unit && y < unit ? "#fff" : "transparent"));
    const plain = (t) => kept(t) && !heads.has(t);
    fill(context, bordersOf(tiles, plain, plain, 2 * unit), "#141414");
    fill(context, bordersOf(tiles, plain, plain, unit), "#fff");
    const head = (t) => kept(t) && heads.has(t), own = (t) => (head(t) ? t : -1);
    fill(context, bordersOf(tiles, head, own, 2 * unit), "#fff");
    lane.data.palette.forEach((colour, index) => {
      fill(context, bordersOf(tiles, (t) => head(t) && lane.tint(t) === index, own, unit), colour);
    });
  };

  const outline = (context, shape, x, y, side) => {
    const middle = side / 2;
    context.beginPath();
    if (shape === "dot") context.arc(x + middle, y + middle, middle, 0, 2 * Math.PI);
    else if (shape === "square") context.rect(x + 0.5, y + 0.5, side - 1, side - 1);
    else if (shape === "diamond" || shape === "triangle") {
      context.moveTo(x + middle, y);
      context.lineTo(x + side, shape === "diamond" ? y + middle : y + side);
      if (shape === "diamond") context.lineTo(x + middle, y + side);
      context.lineTo(x, shape === "diamond" ? y + middle : y + side);
    } else {
      context.rect(x, y + side / 3, side, side / 3);
      context.rect(x + side / 3, y, side / 3, side);
    }
    context.fill();
  };

  const drawMarks = (context, lane, stage, tokens, cells, unit) => {
    const heads = lane.heads(stage);
    tokens.forEach((token, index) => {
      const shape = lane.marks(stage).get(token);
      if (!shape) return;
      const [left, top, right, bottom] = cells[index], room = Math.min(right - left, bottom - top);
      let side = Math.min(Math.max(2 * unit, Math.floor(room / 5)), 5 * unit);
      let x = left + unit, y = top + unit, colour = "#fff";
      if (heads.has(token)) {
        side = Math.min(Math.max(4 * unit, Math.round(0.5 * room)), 9 * unit);
        x = Math.floor((left + right - side - 4) / 2);
        y = Math.floor((top + bottom - side - 4) / 2);
        colour = lane.data.palette[lane.tint(token)];
      }
      ["#000", "#fff", colour].forEach((paint, inset) => {
        context.fillStyle = paint;
        outline(context, shape, x + inset, y + inset, side + 4 - 2 * inset);
      });
    });
  };

  // Colours by `share`, which gives 0 to 1 for a token, and −1 for one without a colour.
  const drawHeat = (context, tiles, heat, share) => {
    grey(context, pathOf(tiles, (t) => t >= 0));
    const step = (t) => Math.min(Math.floor(share(t) * heat.length), heat.length - 1);
    heat.forEach((colour, index) => {
      context.globalAlpha = HEAT;
      fill(context, pathOf(tiles, (t) => t >= 0 && step(t) === index), colour);
    });
    context.globalAlpha = 1;
  };

  const drawScores = (context, { data: { rank, heat } }, tiles) => {
    const ranked = rank ? rank.filter((one) => one).length : 0;
    if (ranked) drawHeat(context, tiles, heat, (t) => (rank[t] ? (ranked - rank[t]) / ranked : -1));
  };

  const drawBoxes = (context, lane, area) => {
    const rect = (box, colour, width, dash = []) => {
      const [left, top, right, bottom] = area.pixels(box);
      if (right <= left || bottom <= top) return;
      context.setLineDash(dash);
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.strokeRect(left, top, right - left, bottom - top);
    };
    if (lane.truth) {
      rect(lane.truth, "#000", 1.5 * area.unit);
      rect(lane.truth, "#fff", 1.5 * area.unit, [5 * area.unit, 5 * area.unit]);
    }
    lane.boxes.forEach((box, index) => {
      rect(box, "#fff", 4 * area.unit);
      rect(box, lane.colour, 2 * area.unit);
      if (lane.boxes.length < 2) return;
      const [left, top] = area.pixels(box), size = 12 * area.unit;
      context.font = `600 ${size}px system-ui, sans-serif`;
      const wide = context.measureText(index + 1).width + size / 2;
      context.fillStyle = lane.colour;
      context.fillRect(left, top, wide, 1.3 * size);
      context.fillStyle = "#fff";
      context.fillText(index + 1, left + size / 4, top + size);
    });
  };

  // One frame of a lane on a canvas; `size` is its longer side in pixels.
  const draw = (canvas, lane, frame, image, view, stage, size) => {
    const area = areaOf(lane.data, size), tokens = lane.tokensOn(frame);
    [canvas.width, canvas.height] = [area.width, area.height];
    const context = canvas.getContext("2d");
    context.fillStyle = PADDING;
    context.fillRect(0, 0, area.width, area.height);
    const [left, top, right, bottom] = area.pixels([0, 0, 1, 1]);
    context.imageSmoothingQuality = "high";
    context.drawImage(image, left, top, right - left, bottom - top);
    const cells = tokens.map((token) => area.pixels(lane.data.box[token]));
    if (["tokens", "scores", "attention"].includes(view)) {
      const tiles = tilesOf(tokens, cells, area);
      if (tokens.length) {
        const unseen = pathOf(tiles, (t) => t < 0);
        grey(context, unseen);
        context.globalAlpha = 0.7;
        fill(context, unseen, PADDING);
        context.globalAlpha = 1;
      }
      if (view === "scores") drawScores(context, lane, tiles);
      else if (view === "attention") drawHeat(context, tiles, lane.data.heat, (t) => lane.share(t));
      else {
        drawFates(context, lane, stage, tiles, area.unit);
        drawMarks(context, lane, stage, tokens, cells, area.unit);
      }
    } else if (view === "boxes" && frame === lane.times.length - 1) drawBoxes(context, lane, area);
    return area;
  };

  window.tokenscope = Object.assign(window.tokenscope || {}, { draw, areaOf });
})();
