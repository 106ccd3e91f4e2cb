// Long lists, of which only the rows in sight exist.

const ROW = 22; // pixels

class List {
  // `draw(number)` gives the children of a row; `pick(number)` is called when one is chosen.
  constructor(box, label, draw, pick) {
    this.box = box;
    this.draw = draw;
    this.pick = pick;
    this.count = 0;
    this.chosen = -1;
    this.nodes = new Map();
    this.inner = make("div", { class: "inner", role: "presentation" });
    box.replaceChildren(this.inner);
    box.setAttribute("role", "listbox");
    box.setAttribute("aria-label", label);
    box.tabIndex = 0;
    box.addEventListener("scroll", () => this.render(), { passive: true });
    box.addEventListener("click", (event) => {
      const row = event.target.closest("[data-number]");
      if (row) this.pick(Number(row.dataset.number));
    });
    new ResizeObserver(() => this.render()).observe(box);
  }

  // Show so many rows anew.
  fill(count) {
    this.count = count;
    this.inner.style.height = `${count * ROW}px`;
    this.redraw();
  }

  redraw() {
    this.inner.replaceChildren();
    this.nodes.clear();
    this.render();
  }

  choose(number) {
    this.chosen = number;
    const top = number * ROW;
    const { scrollTop, clientHeight } = this.box;
    if (number >= 0 && clientHeight && (top < scrollTop + ROW || top > scrollTop + clientHeight - 3 * ROW)) {
      this.box.scrollTop = Math.max(0, top - clientHeight / 2);
    }
    for (const [at, node] of this.nodes) this.mark(at, node);
    this.render();
  }

  mark(number, node) {
    const is = number === this.chosen;
    node.classList.toggle("here", is);
    node.setAttribute("aria-selected", is);
    if (is) this.box.setAttribute("aria-activedescendant", node.id);
  }

  render() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - 8);
    const last = Math.min(this.count, first + Math.ceil(this.box.clientHeight / ROW) + 16);
    for (const [number, node] of this.nodes) {
      if (number >= first && number < last) continue;
      node.remove();
      this.nodes.delete(number);
    }
    for (let number = first; number < last; number++) {
      if (this.nodes.has(number)) continue;
      const node = make("div", {
        role: "option",
        class: "row",
        id: `${this.box.id}-${number}`,
        "data-number": number,
      });
      node.setAttribute("aria-posinset", number + 1);
      node.setAttribute("aria-setsize", this.count);
      node.style.top = `${number * ROW}px`;
      const { kind, nodes } = this.draw(number, node);
      if (kind) node.className = `row ${kind}`;
      node.append(...nodes);
      this.mark(number, node);
      this.inner.append(node);
      this.nodes.set(number, node);
    }
    if (!this.nodes.has(this.chosen)) this.box.removeAttribute("aria-activedescendant");
  }
}
