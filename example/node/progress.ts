import type { WriteStream } from 'node:tty';

const BAR_WIDTH = 30;

/** Shows how far a long step is: a bar on a terminal, a line for each tenth anywhere else. */
export class Progress {
  readonly #label: string;
  readonly #total: number;
  readonly #out: WriteStream;
  #tenth: number;

  constructor(label: string, total: number, done = 0, out: WriteStream = process.stdout) {
    this.#label = label;
    this.#total = total;
    this.#out = out;
    this.#tenth = Math.floor((done / total) * 10);
  }

  show(done: number): void {
    const part = Math.min(done / this.#total, 1);
    const numbers = `${format(done)} of ${format(this.#total)}`;
    if (this.#out.isTTY) {
      const bar = '█'.repeat(Math.round(part * BAR_WIDTH)).padEnd(BAR_WIDTH, '░');
      this.#out.write(`\r  ${this.#label} ${bar} ${numbers}${part === 1 ? '\n' : ''}`);
    } else if (Math.floor(part * 10) > this.#tenth) {
      this.#tenth = Math.floor(part * 10);
      this.#out.write(`  ${this.#label} ${String(this.#tenth * 10).padStart(3)}% ${numbers}\n`);
    }
  }
}

export const format = (n: number): string => n.toLocaleString('en');
