/** Spans kept to be joined with later ones; older ones are only added up. */
const MAX_SPANS = 64;

/**
 * For how long at least one of several spans ran: spans that overlap count once. Five statements of 10 ms at the same time
 * are 10 ms, one after the other they are 50 ms.
 *
 * Told of spans in the order in which they end. A span that began before the last 64 gaps counts what lies before them
 * twice.
 */
export class BusyTime {
  /** Apart from each other, the latest last. */
  readonly #spans: { from: number; to: number }[] = [];
  #olderMs = 0;
  #count = 0;

  add(from: number, to: number): void {
    this.#count++;
    const spans = this.#spans;
    const joined = { from, to };
    for (let last = spans.at(-1); last && last.to >= from; last = spans.at(-1)) {
      joined.from = Math.min(joined.from, last.from);
      joined.to = Math.max(joined.to, last.to);
      spans.pop();
    }
    spans.push(joined);
    if (spans.length > MAX_SPANS) this.#olderMs += lengthOf(spans.shift());
  }

  /** How many spans there were. */
  get count(): number {
    return this.#count;
  }

  get ms(): number {
    return this.#spans.reduce((sum, span) => sum + lengthOf(span), this.#olderMs);
  }
}

const lengthOf = (span: { from: number; to: number } | undefined): number => (span ? span.to - span.from : 0);
