// What the page holds: a head that is unpacked at once, and blocks of frames that are unpacked when they are shown.

async function unpack(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

// A value in a state: [text, type, characters cut off], null where the name is no longer bound.

class Side {
  // One execution: number 0 is what the page is about, the others are predictions of it.
  constructor(number, index, head) {
    Object.assign(this, index);
    this.number = number;
    this.size = head.block;
    this.files = this.files || null;
    this.texts = head.files.map((file) => file.text.split("\n"));
    this.blocks = new Map();
    this.rowOf = null;
    if (this.at) this.rowOf = new Map(this.at.map((row, frame) => [row, frame]));
  }

  // The frame at a row of the page; -1 if there is none.
  frame(row) {
    if (this.rowOf) return this.rowOf.has(row) ? this.rowOf.get(row) : -1;
    return row < this.places ? row : -1;
  }

  // Frames, or places of frames that a prediction lacks.
  get places() {
    return this.verdict ? this.verdict.length : this.count;
  }

  get rows() {
    return this.at ? Math.max(0, ...this.at.slice(-1)) + 1 : this.places;
  }

  row(frame) {
    return this.at ? this.at[frame] : frame;
  }

  file(frame) {
    return this.files ? this.files[frame] : 0;
  }

  thread(frame) {
    return this.threads ? this.threads[frame] : 0;
  }

  // The block of a frame: a promise, so that it is unpacked once.
  block(frame) {
    const number = Math.floor(frame / this.size);
    if (!this.blocks.has(number)) this.blocks.set(number, unpack(`b${this.number}-${number}`));
    return this.blocks.get(number);
  }

  // What a frame shows: `{values, changed, wrong, value, message, source, nats}`; null if there is no frame.
  async show(frame) {
    if (frame < 0) return null;
    const block = await this.block(frame);
    const at = frame % this.size;
    const wrong = new Set(((block.wrong && block.wrong[at]) || []).map((name) => block.names[name]));
    if (frame >= this.count) return { values: new Map(), changed: new Set(), wrong, missing: true };
    const row = block.rows[at];
    const values = this.state(block, frame);
    const changed = new Set();
    const marked = block.changed && block.changed[at];
    if (marked) for (const name of marked) changed.add(block.names[name]);
    else for (let i = 0; i < row[0].length; i += 2) changed.add(block.names[row[0][i]]);
    return {
      values,
      changed,
      wrong,
      value: row[1] == null ? null : block.slots[row[1]],
      message: row[2] == null ? null : row[2],
      source: this.source(frame, row),
      nats: row[4] || null,
    };
  }

  source(frame, row) {
    if (row && row[3] != null) return row[3];
    const text = this.texts[this.file(frame)] || [];
    return text[this.lines[frame] - 1] || "";
  }

  // Names and values after a frame's changes, in the order in which they were bound first.
  state(block, frame) {
    const activation = this.activations[frame];
    const values = new Map();
    const apply = (flat) => {
      for (let i = 0; i < flat.length; i += 2) {
        values.set(block.names[flat[i]], flat[i + 1] < 0 ? null : block.slots[flat[i + 1]]);
      }
    };
    apply(block.key[activation] || []);
    const first = frame - (frame % this.size);
    for (let at = first; at <= frame; at++) {
      if (this.activations[at] === activation) apply(block.rows[at - first][0]);
    }
    return values;
  }

  // Every change of a variable in an activation: `[frame, value]`, in order.
  async history(name, activation) {
    const found = [];
    for (let first = 0; first < this.count; first += this.size) {
      const last = Math.min(first + this.size, this.count);
      let here = false;
      for (let at = first; at < last && !here; at++) here = this.activations[at] === activation;
      if (!here) continue;
      const block = await this.block(first);
      const number = block.names.indexOf(name);
      if (number < 0) continue;
      for (let at = first; at < last; at++) {
        if (this.activations[at] !== activation) continue;
        const flat = block.rows[at - first][0];
        for (let i = 0; i < flat.length; i += 2) {
          if (flat[i] === number) found.push([at, flat[i + 1] < 0 ? null : block.slots[flat[i + 1]]]);
        }
      }
    }
    return found;
  }

  // The next frame after `start` whose source, names or values hold `text`; -1 if there is none.
  async find(text, start) {
    const wanted = text.toLowerCase();
    const holds = (other) => other != null && other.toLowerCase().includes(wanted);
    for (let frame = start; frame < this.count; frame++) {
      const block = await this.block(frame);
      const first = frame - (frame % this.size);
      const slots = new Set(block.slots.flatMap((slot, at) => (holds(slot[0]) ? [at] : [])));
      const names = new Set(block.names.flatMap((name, at) => (holds(name) ? [at] : [])));
      for (; frame < Math.min(first + this.size, this.count); frame++) {
        const row = block.rows[frame - first];
        if (holds(this.source(frame, row)) || holds(row[2]) || slots.has(row[1])) return frame;
        for (let i = 0; i < row[0].length; i += 2) {
          if (names.has(row[0][i]) || slots.has(row[0][i + 1])) return frame;
        }
      }
      frame -= 1;
    }
    return -1;
  }
}
