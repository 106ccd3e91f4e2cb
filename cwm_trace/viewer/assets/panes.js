// What is shown of the row that the page is at: the line in its file, and the variables, real beside predicted.

const EVENTS = { c: "call", l: "line", r: "return", x: "raise", e: "end" };
const VERDICTS = {
  "=": "✓",
  x: "✗",
  g: "given",
  ".": "not counted",
  "-": "✗ nothing predicted",
  "+": "✗ beyond the end",
};

class SourcePane {
  constructor(page) {
    this.page = page;
    this.file = -1;
    this.list = new List(
      document.getElementById("source"),
      "Source",
      (at) => this.draw(at),
      (at) => this.pick(at),
    );
  }

  show(side, frame) {
    const file = side.file(frame);
    const line = side.lines[frame];
    if (file !== this.file) {
      this.file = file;
      const { files } = this.page.head;
      document.getElementById("file").replaceChildren(...visible(files[file] ? files[file].name : "?"));
      this.list.fill((this.page.sides[0].texts[file] || []).length);
    }
    this.guessed = this.page.guessedLine();
    this.list.redraw();
    this.list.choose(line - 1);
  }

  draw(at) {
    const hits = this.page.walk.hits.get(`${this.file}:${at + 1}`) || 0;
    const text = this.page.sides[0].texts[this.file][at];
    const guessed = this.guessed === at + 1;
    const nodes = [
      make("span", { class: "number" }, String(at + 1)),
      make("span", { class: "hits", title: hits ? `run ${hits} times` : "never run" }, hits ? `×${hits}` : ""),
      make("span", { class: "code" }, ...visible(short(text, 2000), true)),
    ];
    if (guessed) nodes.push(make("span", { class: "aside" }, "◀ predicted"));
    return { kind: guessed ? "guessed" : hits ? "" : "never", nodes };
  }

  // A click on a line goes to the next row that runs it.
  pick(at) {
    const { sides, row, walk } = this.page;
    const main = sides[0];
    for (let step = 1; step <= main.count; step++) {
      const next = (row + step) % main.count;
      if (main.lines[next] === at + 1 && main.file(next) === this.file) return this.page.go(next);
    }
    return this.page.say(`line ${at + 1} is never reached`);
  }
}

function cell(slot, isChanged, isWrong) {
  const mark = isWrong ? "✗ " : isChanged ? "* " : "";
  const kind = isWrong ? "wrong" : isChanged ? "changed" : "same";
  return make("td", { class: kind }, mark && make("span", { class: "mark" }, mark), ...shown(slot));
}

function stateTable(page, real, guess, label) {
  const names = [
    ...new Set([
      ...(real ? real.values.keys() : []),
      ...(guess ? guess.values.keys() : []),
      ...(guess ? guess.wrong : []),
    ]),
  ];
  const bound = (side, name) => (side && side.values.get(name)) || null;
  const rows = [];
  for (const name of names) {
    const wrong = Boolean(guess && guess.wrong.has(name));
    const isReal = Boolean(real && real.changed.has(name));
    const isGuessed = Boolean(guess && guess.changed.has(name));
    if (!wrong && !isReal && !bound(real, name) && !bound(guess, name)) continue;
    const pick = make(
      "button",
      { type: "button", class: "name", title: "Its history", onclick: () => page.watch(name) },
      ...visible(short(name, 80)),
    );
    const cells = [make("th", { scope: "row" }, pick)];
    if (real) cells.push(cell(bound(real, name), isReal, false));
    if (label)
      cells.push(
        guess && !guess.missing ? cell(bound(guess, name), isGuessed, wrong) : make("td", { class: "same" }, "–"),
      );
    rows.push(make("tr", {}, ...cells));
  }
  const value = (side) => (side && side.value ? shown(side.value) : side && side.message != null ? [] : ["–"]);
  const message = (side) => (side && side.message ? [make("div", {}, ...visible(short(side.message, SHOWN)))] : []);
  const has = (side) => side && (side.value || side.message != null);
  if (has(real) || has(guess)) {
    const cells = [make("th", { scope: "row" }, "value")];
    if (real) cells.push(make("td", { class: "changed" }, ...value(real), ...message(real)));
    if (label) cells.push(make("td", { class: "changed" }, ...value(guess), ...message(guess)));
    rows.unshift(make("tr", { class: "result" }, ...cells));
  }
  if (!rows.length) return make("p", { class: "gone" }, "no variables");
  const heads = [make("th", { scope: "col" }, "variable")];
  if (real) heads.push(make("th", { scope: "col" }, page.sides[0].label));
  if (label) heads.push(make("th", { scope: "col" }, ...visible(label)));
  return make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
}

function placeWords(side, frame) {
  const event = EVENTS[side.events[frame]];
  const line = side.lines[frame];
  return side.events[frame] === "l" ? `line ${line || "?"}` : line ? `${event}, line ${line}` : event;
}

// What a prediction says of the step, where that is more than its variables.
function guessWords(page, side, frame, shownGuess) {
  const verdict = page.walk.verdict(page.row, page.guess);
  const [main, real] = [page.sides[0], page.row];
  const nodes = [make("span", { class: WRONG.has(verdict) ? "wrong" : "right" }, VERDICTS[verdict] || "")];
  if (!shownGuess || shownGuess.missing) return nodes;
  const differs =
    real >= main.count || side.events[frame] !== main.events[real] || side.lines[frame] !== main.lines[real];
  if (differs)
    nodes.push(
      make("span", { class: "wrong" }, ` predicted: ${placeWords(side, frame)} `),
      make("code", {}, ...visible(short(shownGuess.source.trim()))),
    );
  if (shownGuess.nats) {
    const parts = Object.entries(shownGuess.nats).map(([name, nats]) => `${name} ${nats.toFixed(2)}`);
    nodes.push(make("span", { class: "gone" }, ` −log p: ${parts.join(", ")} nats`));
  }
  return nodes;
}

// Visits of the line, and iterations of the loop around it.
function pickers(page) {
  const main = page.sides[0];
  const nodes = [];
  if (page.row >= main.count) return nodes;
  const add = (what, rows, at, go) => {
    if (rows.length < 2) return;
    const field = make("input", {
      type: "number",
      min: 1,
      max: rows.length,
      value: at + 1,
      "aria-label": `${what}, of ${rows.length}`,
    });
    const move = (number) => go(Math.min(Math.max(number, 0), rows.length - 1));
    field.addEventListener("change", () => move(Number(field.value) - 1));
    const button = (text, label, way) =>
      make("button", { type: "button", "aria-label": label, onclick: () => move(at + way) }, text);
    nodes.push(
      make(
        "span",
        { class: "picker" },
        `${what} `,
        button("‹", `${what}: before`, -1),
        field,
        button("›", `${what}: next`, 1),
        ` of ${rows.length.toLocaleString("en")}`,
      ),
    );
  };
  const upTo = (rows) => rows.filter((row) => row <= page.row).length - 1;
  const header = page.walk.loop(page.row);
  if (header) {
    const heads = page.walk.visits(page.row, header);
    add(`iteration of line ${header}`, heads, upTo(heads), (number) =>
      page.go(page.walk.iteration(page.row, heads, number)),
    );
  }
  const line = main.lines[page.row];
  if (main.events[page.row] === "l" && line !== header) {
    const visits = page.walk.visits(page.row, line);
    add(`visit of line ${line}`, visits, upTo(visits), (number) => page.go(visits[number]));
  }
  return nodes;
}
