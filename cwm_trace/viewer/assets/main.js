// The page: where it is, what moves it (buttons, keys, slider, address), and its lists.

const MARKS = { "=": "✓", g: "·" };

const KEYS = [
  ["→ ←", "one frame on, one back"],
  ["↓ ↑", "on or back without going into calls"],
  ["shift ↓ shift ↑", "to the end of this call, back to where it was called"],
  ["n N", "the next wrong step, the one before"],
  ["f", "the first wrong step"],
  ["g", "go to a frame"],
  ["/", "search in sources, names and values; again: the next one"],
  ["Home End", "the first frame, the last"],
  ["1 … 9", "the prediction to look at"],
  ["?", "this help"],
];

class Page {
  constructor(head) {
    this.head = head;
    this.sides = head.sides.map((side, number) => new Side(number, side, head));
    this.walk = new Walk(this.sides);
    this.row = 0;
    this.guess = this.sides.length > 1 ? 1 : 0;
    this.turn = 0;
    document.title = head.title;
    document.getElementById("title").replaceChildren(...visible(head.title));
    document.getElementById("loading").remove();
    document.getElementById("page").hidden = false;
    this.slider = document.getElementById("slider");
    this.slider.max = this.walk.count - 1;
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    this.offerGuesses();
    this.source = new SourcePane(this);
    this.steps = new List(
      document.getElementById("step-list"),
      "Steps",
      (at, node) => this.drawStep(at, node),
      (at) => this.go(at),
    );
    this.callRows = this.walk.calls();
    this.folded = new Set();
    this.calls = new List(
      document.getElementById("call-list"),
      "Calls",
      (at) => this.drawCall(at),
      (at) => this.go(this.callsInSight[at].row),
    );
    this.history = new HistoryPane(this);
    this.map = new Minimap(this);
    this.steps.fill(this.walk.count);
    this.fillCalls();
    this.listen();
    this.follow();
  }

  offerGuesses() {
    const choice = document.getElementById("guess");
    this.sides
      .slice(1)
      .forEach((side, at) => choice.append(make("option", { value: at + 1 }, ...visible(side.label))));
    document.getElementById("choice").hidden = this.sides.length < 2;
    for (const what of ["wrong", "first"]) document.querySelector(`[data-do=${what}]`).hidden = this.sides.length < 2;
    choice.addEventListener("change", () => this.choose(Number(choice.value)));
  }

  choose(guess) {
    this.look(guess);
    this.go(this.row);
  }

  look(guess) {
    this.guess = guess;
    document.getElementById("guess").value = guess;
    this.steps.redraw();
    this.map.draw();
  }

  // The line that the prediction is at, where that is another one than the real; 0 otherwise.
  guessedLine() {
    const side = this.sides[this.guess];
    const frame = this.guess ? side.frame(this.row) : -1;
    if (frame < 0 || frame >= side.count || this.walk.verdict(this.row, this.guess) === "g") return 0;
    const main = this.sides[0];
    return this.row < main.count && side.lines[frame] === main.lines[this.row] ? 0 : side.lines[frame];
  }

  // Go to a row and show it.
  async go(wanted) {
    const row = (this.row = this.walk.clamp(Number.isFinite(wanted) ? Math.trunc(wanted) : 0));
    const turn = (this.turn += 1);
    this.slider.value = row;
    this.slider.setAttribute("aria-valuetext", `frame ${row} of ${this.walk.count - 1}`);
    const [side, frame] = this.walk.place(row, this.guess);
    this.source.show(side, frame);
    this.steps.choose(row);
    this.chooseCall(row);
    window.history.replaceState(null, "", `#frame=${row}${this.guess > 1 ? `&guess=${this.guess}` : ""}`);
    const main = this.sides[0];
    const other = this.guess ? this.sides[this.guess] : null;
    const there = other ? other.frame(row) : -1;
    const given = this.walk.verdict(row, this.guess) === "g";
    const real = row < main.count ? await main.show(row) : null;
    const guess = other && there >= 0 && !given ? await other.show(there) : null;
    if (turn !== this.turn) return;
    const words = row < main.count ? placeWords(main, row) : "after the end";
    const where = [make("strong", {}, `frame ${row}`), ` of ${this.walk.count - 1} · ${words}`];
    if (row < main.count) where.push(` · call ${main.activations[row]}, ${main.depths[row]} deep`);
    if (main.threads && row < main.count) where.push(` · thread ${main.thread(row)}`);
    where.push(" ", ...(other ? guessWords(this, other, there, guess) : []));
    document.getElementById("where").replaceChildren(...where);
    document.getElementById("pickers").replaceChildren(...pickers(this));
    document.getElementById("state").replaceChildren(stateTable(this, real, guess, other ? other.label : ""));
    if (!document.getElementById("history").hidden) this.history.show();
  }

  say(text) {
    document.getElementById("where").replaceChildren(make("span", { class: "wrong" }, text));
  }

  // Lists

  drawStep(row, node) {
    const [side, frame] = this.walk.place(row, this.guess);
    const verdict = this.walk.verdict(row, this.guess);
    const event = side.events[frame];
    const beside = make("span", { class: "aside" });
    const nodes = [
      make("span", { class: "number" }, String(row)),
      make("span", { class: "mark" }, WRONG.has(verdict) ? "✗" : (MARKS[verdict] ?? "")),
      make("span", { class: "number" }, String(side.lines[frame] || "")),
      make("span", { class: "event" }, event === "l" ? "" : EVENTS[event]),
      make("span", { class: "code" }, ...visible(short(side.source(frame, null), 120), true)),
      beside,
    ];
    const guess = this.sides[this.guess];
    const there = this.guess && guess.surprise ? guess.frame(row) : -1;
    if (there >= 0 && guess.surprise[there] != null) {
      const nats = guess.surprise[there];
      node.style.setProperty("--hot", Math.min(0.6, Math.log1p(nats) / 6).toFixed(3));
      node.title = `−log p ${nats.toFixed(2)} nats`;
    }
    side.show(frame).then((shownFrame) => {
      const parts = [...shownFrame.changed].map((name) => {
        const slot = shownFrame.values.get(name);
        return slot ? `${name}=${short(slot[0], 40)}` : `-${name}`;
      });
      if (shownFrame.value) parts.unshift(`→ ${short(shownFrame.value[0], 60)}`);
      beside.replaceChildren(...visible(short(parts.join("  "), 200)));
    });
    const first = this.guess && guess.first != null && guess.row(guess.first) === row;
    return { kind: first ? "first" : WRONG.has(verdict) ? "bad" : verdict === "g" ? "given" : "", nodes };
  }

  fillCalls() {
    this.callsInSight = [];
    for (let at = 0; at < this.callRows.length; at++) {
      this.callsInSight.push(this.callRows[at]);
      if (this.folded.has(at)) at += this.callRows[at].inside;
    }
    this.calls.fill(this.callsInSight.length);
    this.chooseCall(this.row);
  }

  drawCall(at) {
    const call = this.callsInSight[at];
    const main = this.sides[0];
    const fold = (event) => {
      event.stopPropagation();
      if (!this.folded.delete(call.number)) this.folded.add(call.number);
      this.fillCalls();
    };
    const text = main.source(call.row, null).trim();
    const sign = make(
      "span",
      { class: "fold", onclick: call.inside ? fold : null },
      call.inside ? (this.folded.has(call.number) ? "▸" : "▾") : " ",
    );
    const indent = make("span", { class: "number" }, String(call.row));
    sign.style.marginInlineStart = `${Math.min(call.depth, 40) * 14}px`;
    const inside = call.inside
      ? [make("span", { class: "aside" }, `${call.inside.toLocaleString("en")} calls inside`)]
      : [];
    return {
      kind: "",
      nodes: [indent, sign, make("span", { class: "code" }, ...visible(short(text || "module", 120))), ...inside],
    };
  }

  chooseCall(row) {
    const main = this.sides[0];
    const activation = main.activations[Math.min(row, main.count - 1)];
    this.calls.choose(this.callsInSight.findIndex((call) => call.activation === activation));
  }

  about() {
    const parts = this.sides.flatMap((side, at) => [
      make("h3", {}, ...visible(side.label), at && at === this.guess ? " (shown)" : ""),
      ...side.says.map((text) => make("p", {}, ...visible(short(text, 600)))),
    ]);
    const size = document.documentElement.outerHTML.length;
    const bytes = size > 1e6 ? `${(size / 1e6).toFixed(1)} MB` : `${Math.ceil(size / 1e3)} kB`;
    document
      .getElementById("about")
      .replaceChildren(...parts, make("p", { class: "gone" }, `This page takes ${bytes} and asks for nothing else.`));
  }

  watch(name) {
    this.history.name = name;
    this.open("history");
  }

  open(name) {
    for (const tab of document.querySelectorAll("[role=tab]")) {
      const is = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", is);
      tab.tabIndex = is ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !is;
    }
    if (name === "about") this.about();
    if (name === "history") this.history.show();
    if (name === "steps") this.steps.choose(this.row);
    if (name === "calls") this.chooseCall(this.row);
  }

  // Moves

  do(what) {
    const { row, guess, walk } = this;
    const wrong = (way, start) => {
      const at = walk.wrong(start, guess, way);
      if (at < 0) this.say(way > 0 ? "no wrong step after this one" : "no wrong step before this one");
      else this.go(at);
    };
    const moves = {
      step: () => this.go(row + 1),
      back: () => this.go(row - 1),
      over: () => this.go(walk.over(row, guess, 1)),
      before: () => this.go(walk.over(row, guess, -1)),
      out: () => this.go(walk.out(row, guess, 1)),
      caller: () => this.go(walk.out(row, guess, -1)),
      wrong: () => wrong(1, row),
      unwrong: () => wrong(-1, row),
      first: () => wrong(1, -1),
      start: () => this.go(0),
      end: () => this.go(walk.count - 1),
      help: () =>
        openDialog(
          "Keys",
          make(
            "dl",
            {},
            ...KEYS.flatMap(([keys, text]) => [make("dt", {}, make("kbd", {}, keys)), make("dd", {}, text)]),
          ),
        ),
      goto: () =>
        ask(`Go to frame (0 to ${walk.count - 1})`, "number", row, (text) => {
          const at = Number(text);
          if (text === "" || !Number.isInteger(at) || at < 0 || at >= walk.count)
            return `frames go from 0 to ${walk.count - 1}`;
          this.go(at);
          return "";
        }),
      search: () =>
        ask("Search in sources, names and values", "text", this.sought || "", async (text) => {
          if (!text) return "type what to look for";
          this.sought = text;
          const main = this.sides[0];
          let at = await main.find(text, this.row + 1);
          if (at < 0) at = await main.find(text, 0);
          if (at < 0) return "nothing found";
          this.go(at);
          return "";
        }),
    };
    moves[what]();
  }

  listen() {
    const keys = {
      ArrowRight: "step",
      ArrowLeft: "back",
      ArrowDown: "over",
      ArrowUp: "before",
      n: "wrong",
      N: "unwrong",
      f: "first",
      g: "goto",
      "/": "search",
      "?": "help",
      Home: "start",
      End: "end",
    };
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.getElementById("dialog").open) return;
      const typing = event.target.matches("input:not([type=range]), select, textarea");
      const inTabs = event.target.matches("[role=tab]") && event.key.startsWith("Arrow");
      if (typing || inTabs) return;
      if (/^[1-9]$/.test(event.key) && Number(event.key) in this.sides) this.choose(Number(event.key));
      else if (event.shiftKey && event.key === "ArrowDown") this.do("out");
      else if (event.shiftKey && event.key === "ArrowUp") this.do("caller");
      else if (event.key in keys) this.do(keys[event.key]);
      else return;
      event.preventDefault();
    });
    for (const button of document.querySelectorAll("[data-do]"))
      button.addEventListener("click", () => this.do(button.dataset.do));
    const tabs = [...document.querySelectorAll("[role=tab]")];
    tabs.forEach((tab, at) => {
      const name = tab.id.slice(4);
      tab.addEventListener("click", () => this.open(name));
      tab.addEventListener("keydown", (event) => {
        const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!way) return;
        const next = tabs[(at + way + tabs.length) % tabs.length];
        this.open(next.id.slice(4));
        next.focus();
      });
    });
    window.addEventListener("hashchange", () => this.follow());
    this.open("steps");
  }

  // Go where the address says.
  follow() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const guess = Number(wanted.get("guess"));
    if (guess in this.sides && guess > 0 && guess !== this.guess) this.look(guess);
    const row = wanted.get("frame");
    const other = this.sides[this.guess];
    const start = this.guess && other.first != null ? other.row(other.first) : 0;
    this.go(row == null || !/^\d+$/.test(row) ? start : Number(row));
  }
}

unpack("head").then(
  (head) => new Page(head),
  () =>
    (document.getElementById("loading").textContent =
      "This browser is too old to unpack the page: it needs DecompressionStream (2023 or later)."),
);
