// Ways through the rows of a page. A row is a place in the execution: a frame of the first side, then what a
// prediction says beyond its end. Only the index is asked, so every way is instant.

const WRONG = new Set(["x", "-", "+"]);

class Walk {
  constructor(sides) {
    this.sides = sides;
    this.count = Math.max(...sides.map((side) => side.rows));
    this.first = new Map(); // activation → its first row, on the first side
    this.hits = new Map(); // "file:line" → LINE events
    const main = sides[0];
    for (let at = 0; at < main.count; at++) {
      if (!this.first.has(main.activations[at])) this.first.set(main.activations[at], at);
      if (main.events[at] !== "l") continue;
      const line = `${main.file(at)}:${main.lines[at]}`;
      this.hits.set(line, (this.hits.get(line) || 0) + 1);
    }
  }

  // The side and the frame that say where a row is: the first side's, or a prediction's beyond its end.
  place(row, guess) {
    if (row < this.sides[0].count) return [this.sides[0], row];
    const side = this.sides[guess] || this.sides[0];
    const frame = side.frame(row);
    return frame >= 0 && frame < side.count ? [side, frame] : [this.sides[0], this.sides[0].count - 1];
  }

  depth(row, guess) {
    const [side, frame] = this.place(row, guess);
    return side.depths[frame];
  }

  clamp(row) {
    return Math.min(Math.max(row, 0), this.count - 1);
  }

  // The next row, or the one before, that is at most so deep, in the same thread.
  within(row, guess, way, depth) {
    const [side, frame] = this.place(row, guess);
    const thread = side.thread(frame);
    for (let at = row + way; at >= 0 && at < this.count; at += way) {
      const [there, index] = this.place(at, guess);
      if (there.thread(index) === thread && there.depths[index] <= depth) return at;
    }
    return this.clamp(way > 0 ? this.count - 1 : 0);
  }

  over(row, guess, way) {
    return this.within(row, guess, way, this.depth(row, guess));
  }

  out(row, guess, way) {
    return this.within(row, guess, way, this.depth(row, guess) - 1);
  }

  // How a prediction does at a row; "" where it says nothing.
  verdict(row, guess) {
    const side = this.sides[guess];
    const frame = guess && side ? side.frame(row) : -1;
    return frame < 0 ? "" : side.verdict[frame] || "";
  }

  // The next wrong row, or the one before; -1 if there is none.
  wrong(row, guess, way) {
    for (let at = row + way; at >= 0 && at < this.count; at += way) {
      if (WRONG.has(this.verdict(at, guess))) return at;
    }
    return -1;
  }

  // Rows of the same activation at a line.
  visits(row, line) {
    const main = this.sides[0];
    if (row >= main.count) return [];
    const rows = [];
    for (let at = 0; at < main.count; at++) {
      const same = main.activations[at] === main.activations[row] && main.events[at] === "l";
      if (same && main.lines[at] === line && main.file(at) === main.file(row)) rows.push(at);
    }
    return rows;
  }

  // The line of the loop around a row: its header, or the line itself if it is one; 0 if there is none.
  loop(row) {
    const main = this.sides[0];
    if (row >= main.count) return 0;
    const text = main.texts[main.file(row)] || [];
    const indent = (line) => line.length - line.trimStart().length;
    const opens = (line) => /^\s*(async\s+)?(for|while)\b/.test(line);
    let line = main.lines[row];
    if (opens(text[line - 1] || "")) return line;
    let most = indent(text[line - 1] || "");
    for (line -= 1; line > 0 && most > 0; line--) {
      const before = text[line - 1];
      if (!before.trim() || indent(before) >= most) continue;
      if (opens(before)) return line;
      if (/^\s*(async\s+)?(def|class)\b/.test(before)) return 0;
      most = indent(before);
    }
    return 0;
  }

  // The row at the same line in another iteration of the loop whose headers these are.
  iteration(row, headers, number) {
    const main = this.sides[0];
    const start = headers[number];
    const end = number + 1 < headers.length ? headers[number + 1] : main.count;
    for (let at = start; at < end; at++) {
      if (main.activations[at] === main.activations[row] && main.lines[at] === main.lines[row]) return at;
    }
    return start;
  }

  // The calls in order: `{row, depth, activation, inside}`, `inside`: calls that it makes, all the way down.
  calls() {
    const main = this.sides[0];
    const calls = [];
    const open = [];
    const close = (depth) => {
      while (open.length && open[open.length - 1].depth >= depth) {
        const call = open.pop();
        call.inside = calls.length - 1 - call.number;
      }
    };
    for (const [activation, row] of this.first) {
      const depth = main.depths[row];
      close(depth);
      const call = { row, depth, activation, number: calls.length, inside: 0 };
      open.push(call);
      calls.push(call);
    }
    close(0);
    return calls;
  }
}
