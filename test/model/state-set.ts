import type { State } from './state.ts';

/** Entries of one chunk: arrays of all states at once would have to be copied to grow. */
const CHUNK = 1 << 16;

/** Numbers different states in the order in which they come, and remembers from which other one each came. */
export class StateSet {
  count = 0;
  readonly #words: number;
  readonly #states: Uint32Array[] = [];
  readonly #parents: Uint32Array[] = [];
  readonly #hashes: Uint32Array[] = [];
  /** Open addressing: 0, or 1 + the number of a state. */
  #table = new Uint32Array(1 << 16);

  /** @param size Bytes of a state, a multiple of four. */
  constructor(size: number) {
    this.#words = size / 4;
  }

  /** Whether the state is new. */
  add(state: State, parent: number): boolean {
    const words = new Uint32Array(state.buffer, state.byteOffset, this.#words);
    const hash = hashOf(words);
    const mask = this.#table.length - 1;
    let place = hash & mask;
    for (let entry = this.#table[place] as number; entry; entry = this.#table[place] as number) {
      if (this.#hash(entry - 1) === hash && this.#isAt(entry - 1, words)) return false;
      place = (place + 1) & mask;
    }
    const id = this.count++;
    const chunk = Math.trunc(id / CHUNK);
    if (id % CHUNK === 0) {
      this.#states.push(new Uint32Array(CHUNK * this.#words));
      this.#parents.push(new Uint32Array(CHUNK));
      this.#hashes.push(new Uint32Array(CHUNK));
    }
    (this.#states[chunk] as Uint32Array).set(words, (id % CHUNK) * this.#words);
    (this.#parents[chunk] as Uint32Array)[id % CHUNK] = parent;
    (this.#hashes[chunk] as Uint32Array)[id % CHUNK] = hash;
    this.#table[place] = id + 1;
    if (this.count * 2 > this.#table.length) this.#grow();
    return true;
  }

  get(id: number): State {
    const start = (id % CHUNK) * this.#words;
    const words = (this.#states[Math.trunc(id / CHUNK)] as Uint32Array).slice(start, start + this.#words);
    return new Uint8Array(words.buffer);
  }

  parent(id: number): number {
    return (this.#parents[Math.trunc(id / CHUNK)] as Uint32Array)[id % CHUNK] as number;
  }

  #hash(id: number): number {
    return (this.#hashes[Math.trunc(id / CHUNK)] as Uint32Array)[id % CHUNK] as number;
  }

  #isAt(id: number, words: Uint32Array): boolean {
    const states = this.#states[Math.trunc(id / CHUNK)] as Uint32Array;
    const start = (id % CHUNK) * this.#words;
    for (let at = 0; at < this.#words; at++) if (states[start + at] !== words[at]) return false;
    return true;
  }

  #grow(): void {
    this.#table = new Uint32Array(this.#table.length * 2);
    const mask = this.#table.length - 1;
    for (let id = 0; id < this.count; id++) {
      let place = this.#hash(id) & mask;
      while (this.#table[place]) place = (place + 1) & mask;
      this.#table[place] = id + 1;
    }
  }
}

function hashOf(words: Uint32Array): number {
  let hash = 0x9747b28c;
  for (let at = 0; at < words.length; at++) {
    hash = Math.imul(hash ^ (words[at] as number), 0x5bd1e995);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash, 0x27d4eb2d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
