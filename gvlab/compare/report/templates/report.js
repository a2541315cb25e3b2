"use strict";
(() => {
  const { curves, looks } = JSON.parse(document.getElementById("data").textContent);
  const thousands = (n) => n.toLocaleString("en-US");
  const text = (value) => {
    if (value === null) return "-";
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(3) : String(Number(value.toPrecision(5)));
  };
  const draw = (parent, tag, attributes, content) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (content !== undefined) made.textContent = content;
    return parent.appendChild(made);
  };
  const cell = (row, tag, content, scope) => {
    const made = row.appendChild(document.createElement(tag));
    made.textContent = content;
    if (scope) made.scope = scope;
    return made;
  };

  // --- pictures: of one seed, or of all ---
  const seed = document.getElementById("seed");
  if (seed) {
    seed.addEventListener("change", () => {
      const all = seed.value === "all";
      document.querySelector("main").classList.toggle("all-seeds", all);
      for (const figure of document.querySelectorAll("[data-seed]")) {
        figure.hidden = !all && figure.dataset.seed !== seed.value;
      }
    });
  }

  // --- samples: one slider for all seeds ---
  const slider = document.getElementById("sample-step");
  if (slider) {
    const steps = slider.dataset.steps.split(" ").map(Number);
    slider.addEventListener("input", () => {
      const step = steps[slider.value];
      document.getElementById("sample-output").textContent = thousands(step);
      slider.setAttribute("aria-valuetext", `step ${thousands(step)}`);
      for (const figure of document.querySelectorAll("[data-samples]")) {
        const pictures = [...figure.querySelectorAll("img{{ ', ol' if samples.texts }}")];
        const shown = pictures.filter((picture) => Number(picture.dataset.step) <= step).pop();
        for (const picture of pictures) picture.hidden = picture !== shown;
        figure.querySelector(".none").hidden = Boolean(shown);
        const at = figure.querySelector(".at");
        if (at) at.textContent = shown ? `step ${thousands(Number(shown.dataset.step))}` : "no picture so far";
      }
    });
  }

  // --- training curves ---
  const chart = document.getElementById("chart");
  if (chart) {
    const term = document.getElementById("term");
    const range = document.getElementById("range");
    const cursor = document.getElementById("cursor");
    let steps = []; // of all experiments that have the term
    let place = null; // the axes of the plot as it is drawn now

    const members = () => curves.experiments.filter((e) => e.terms[term.value]);

    const choose = () => {
      steps = [...new Set(members().flatMap((e) => e.steps))].sort((a, b) => a - b);
      cursor.max = steps.length - 1;
      cursor.value = cursor.max;
      plot();
    };

    const lastIndex = (values) => values.reduce((last, value, i) => (value === null ? last : i), -1);

    const limits = () => {
      const from = range.value === "half" ? steps[steps.length - 1] / 2 : 0;
      const drawn = (e) => e.terms[term.value].seeds.map((values) => values.filter((v, i) => v !== null && e.steps[i] >= from));
      let values = members().flatMap((e) => drawn(e).flat());
      values.sort((a, b) => a - b);
      if (range.value === "log") values = values.filter((v) => v > 0);
      const cut = ["middle", "half"].includes(range.value) ? Math.floor(values.length / 100) : 0;
      let [low, high] = [values[cut], values[values.length - 1 - cut]];
      if (low === undefined) return [1, 10];
      if (low === high) [low, high] = [low - (Math.abs(low) || 1) / 10, high + (Math.abs(high) || 1) / 10];
      if (range.value === "log") return [low > 0 ? low : high / 10, high];
      const margin = (high - low) / 25;
      return [low - margin, high + margin];
    };

    const ticks = (low, high, most) => {
      const power = 10 ** Math.floor(Math.log10((high - low) / most));
      const step = [1, 2, 5, 10, 20].map((t) => t * power).find((s) => (high - low) / s < most);
      const made = [];
      for (let i = Math.ceil(low / step); i * step <= high; i++) made.push(Number((i * step).toPrecision(12)));
      return made;
    };

    const logTicks = (low, high) => {
      const powers = [];
      for (let p = Math.ceil(Math.log10(low)); p <= Math.log10(high); p++) powers.push(10 ** p);
      const every = Math.ceil(powers.length / 7);
      const round = powers.filter((_, i) => i % every === 0);
      return round.length > 1 ? round : ticks(low, high, 5);
    };

    const plot = () => {
      const width = Math.max(280, chart.clientWidth);
      const height = Math.round(Math.min(420, Math.max(260, width * 0.5)));
      const [left, right, top, bottom] = [58, 14, 10, 38];
      const [low, high] = limits();
      const log = range.value === "log";
      const scaled = (v) => (log ? (Math.log(v) - Math.log(low)) / (Math.log(high) - Math.log(low)) : (v - low) / (high - low));
      const last = steps[steps.length - 1] || 1;
      const x = (step) => left + (step / last) * (width - left - right);
      const y = (v) => height - bottom - scaled(v) * (height - top - bottom);
      const inside = (v) => Math.min(height - bottom, Math.max(top, log && v <= 0 ? height - bottom : y(v)));
      const shape = (own, values) => {
        let path = "";
        let pen = "M";
        values.forEach((v, i) => {
          if (v === null || (log && v <= 0)) {
            pen = "M";
            return;
          }
          path += `${pen}${x(own[i]).toFixed(1)} ${y(v).toFixed(1)}`;
          pen = "L";
        });
        return path;
      };

      chart.replaceChildren();
      const svg = draw(chart, "svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
      svg.setAttribute("aria-label", `Training curves of ${term.value} for ${members().map((e) => e.name).join(", ")}; the table below gives the values`);
      const clip = draw(draw(svg, "defs", {}), "clipPath", { id: "inside" });
      draw(clip, "rect", { x: left, y: top - 1, width: width - left - right + 1, height: height - top - bottom + 2 });
      for (const tick of log ? logTicks(low, high) : ticks(low, high, 6)) {
        draw(svg, "line", { class: "rule", x1: left, x2: width - right, y1: y(tick), y2: y(tick) });
        draw(svg, "text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, text(tick));
      }
      for (const tick of ticks(0, last, width < 500 ? 4 : 8)) {
        draw(svg, "line", { class: "rule", x1: x(tick), x2: x(tick), y1: height - bottom, y2: height - bottom + 4 });
        draw(svg, "text", { x: x(tick), y: height - bottom + 17, "text-anchor": tick > 0.95 * last ? "end" : "middle" }, thousands(tick));
      }
      draw(svg, "text", { x: left + (width - left - right) / 2, y: height - 4, "text-anchor": "middle" }, "step");

      const body = draw(svg, "g", { "clip-path": "url(#inside)" });
      const over = draw(svg, "g", {});
      let outside = 0;
      let all = 0;
      for (const e of members()) {
        const { seeds, low: below, median, high: above } = e.terms[term.value];
        const look = looks[e.name];
        const group = draw(body, "g", { class: `k${look.colour}` });
        const marks = draw(over, "g", { class: `k${look.colour}` });
        const known = e.steps.map((step, i) => [step, below[i], above[i]]).filter((row) => row[1] !== null && (!log || row[1] > 0));
        if (known.length) {
          const forth = known.map(([step, , v]) => `${x(step).toFixed(1)} ${y(v).toFixed(1)}`);
          const back = known.map(([step, v]) => `${x(step).toFixed(1)} ${y(v).toFixed(1)}`).reverse();
          draw(group, "path", { class: "band", d: `M${forth.concat(back).join("L")}Z` });
        }
        seeds.forEach((values, i) => {
          draw(group, "path", { class: "line", d: shape(e.steps, values) });
          const drawn = values.filter((v) => v !== null);
          all += drawn.length;
          outside += drawn.filter((v) => v < low || v > high).length;
          const end = lastIndex(values);
          if (e.seeds[i].diverged && end >= 0) {
            const at = `translate(${x(e.steps[end])} ${inside(values[end])})`;
            const mark = draw(marks, "g", { transform: at, "data-diverged": e.seeds[i].seed });
            draw(mark, "title", {}, `${e.name}, seed ${e.seeds[i].seed} diverged after step ${thousands(e.steps[end])}`);
            draw(mark, "use", { href: "#mark-end", class: "end" });
          }
        });
        draw(group, "path", { class: "median", d: shape(e.steps, median) });
        const every = Math.max(1, Math.round(e.steps.length / 8));
        for (let i = every - 1; i < e.steps.length; i += every) {
          if (median[i] === null || (log && median[i] <= 0)) continue;
          const at = `translate(${x(e.steps[i])} ${y(median[i])}) scale(.85)`;
          draw(group, "use", { href: `#mark-${look.mark}`, class: "point", transform: at });
        }
      }
      const line = draw(over, "line", { class: "cursor", y1: top, y2: height - bottom });
      place = { x, line, left, right, width, last };
      document.getElementById("chart-note").textContent = outside
        ? `${thousands(outside)} of ${thousands(all)} values lie outside of the drawn range.`
        : "";
      read();
    };

    const read = () => {
      const step = steps[cursor.value] ?? 0;
      place.line.setAttribute("x1", place.x(step));
      place.line.setAttribute("x2", place.x(step));
      document.getElementById("cursor-step").textContent = thousands(step);
      cursor.setAttribute("aria-valuetext", `step ${thousands(step)}`);
      const table = document.getElementById("values");
      table.replaceChildren();
      const numbers = [...new Set(members().flatMap((e) => e.seeds.map((s) => s.seed)))].sort((a, b) => a - b);
      const head = table.createTHead().insertRow();
      cell(head, "th", `${term.value} at step`, "col");
      for (const seed of numbers) cell(head, "th", `seed ${seed}`, "col");
      cell(head, "th", "median", "col");
      const rows = table.createTBody();
      for (const e of members()) {
        const i = e.steps.reduce((found, own, j) => (own <= step ? j : found), 0);
        const { seeds, median } = e.terms[term.value];
        const row = rows.insertRow();
        const name = cell(row, "th", ` ${e.name}, ${thousands(e.steps[i])}`, "row");
        const mark = draw(name, "svg", { class: `mark k${looks[e.name].colour}`, viewBox: "-7 -7 14 14", "aria-hidden": "true" });
        draw(mark, "use", { href: `#mark-${looks[e.name].mark}` });
        name.prepend(mark);
        for (const seed of numbers) {
          const k = e.seeds.findIndex((s) => s.seed === seed);
          const over = k >= 0 && e.seeds[k].diverged && i > lastIndex(seeds[k]);
          cell(row, "td", k < 0 ? "-" : over ? "× diverged" : text(seeds[k][i]));
        }
        cell(row, "td", text(median[i]));
      }
    };

    const point = (event) => {
      const box = chart.getBoundingClientRect();
      const share = ((event.clientX - box.left) * (place.width / box.width) - place.left) / (place.width - place.left - place.right);
      const wanted = share * place.last;
      const distances = steps.map((step) => Math.abs(step - wanted));
      cursor.value = distances.indexOf(Math.min(...distances));
      read();
    };

    term.addEventListener("change", choose);
    range.addEventListener("change", plot);
    cursor.addEventListener("input", read);
    chart.addEventListener("pointermove", point);
    chart.addEventListener("pointerdown", point);
    new ResizeObserver(() => {
      if (!place || place.width !== Math.max(280, chart.clientWidth)) plot();
    }).observe(chart);
    choose();
  }

  // On paper everything is open.
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
})();
