import { SqlSyntaxError } from '../errors';
import type { Range } from './ast';
import { isName, isOp, isWord, type Token } from './tokens';

/** A cursor over tokens that steps over parentheses as one. */
export class Reader {
  at: number;

  constructor(
    readonly sql: string,
    readonly tokens: readonly Token[],
    readonly range: Range,
  ) {
    this.at = range.from;
  }

  get end(): number {
    return this.range.to;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  peek(ahead = 0): Token | undefined {
    return this.at + ahead < this.end ? this.tokens[this.at + ahead] : undefined;
  }

  /** The next tokens are these keywords. */
  sees(...words: string[]): boolean {
    return words.every((word, i) => isWord(this.peek(i), word));
  }

  /** Takes these keywords if they come next. */
  take(...words: string[]): boolean {
    if (!this.sees(...words)) return false;
    this.at += words.length;
    return true;
  }

  takeOp(op: string): boolean {
    if (!isOp(this.peek(), op)) return false;
    this.at++;
    return true;
  }

  name(): string {
    const token = this.peek();
    if (!token || !isName(token)) return this.fail('a name');
    this.at++;
    return token.value;
  }

  /** The inside of the parentheses that open here; the cursor moves behind them. */
  parens(): Range {
    const token = this.peek();
    if (!token || !isOp(token, '(')) return this.fail('a (');
    const inside = { from: this.at + 1, to: token.match };
    this.at = token.match + 1;
    return inside;
  }

  /** A comma-separated list of names in parentheses; of a qualified one, `t.a`, the last part. */
  names(): string[] {
    const inner = new Reader(this.sql, this.tokens, this.parens());
    const list: string[] = [];
    while (!inner.done) {
      let name = inner.name();
      while (inner.takeOp('.')) name = inner.name();
      list.push(name);
      while (!inner.done && !isOp(inner.peek(), ',')) inner.step();
      inner.takeOp(',');
    }
    return list;
  }

  /** Moves on by one token, or over one pair of parentheses. */
  step(): void {
    const token = this.peek();
    if (token && isOp(token, '(')) this.at = token.match + 1;
    else this.at++;
  }

  /** Reads up to a token for which `stop` says yes, or the end. */
  until(stop: (reader: Reader) => boolean): Range {
    const from = this.at;
    while (!this.done && !stop(this)) this.step();
    return { from, to: this.at };
  }

  fail(expected: string): never {
    const token = this.peek();
    const near = this.sql.slice(token?.start ?? 0, (token?.start ?? 0) + 60);
    throw new SqlSyntaxError(`Expected ${expected} near: ${near || 'the end'}`, { sql: this.sql });
  }
}

/** Splits a range at its commas outside parentheses. */
export function splitCommas(tokens: readonly Token[], range: Range): Range[] {
  const parts: Range[] = [];
  let from = range.from;
  for (let i = range.from; i < range.to; i++) {
    const token = tokens[i] as Token;
    if (isOp(token, '(')) i = token.match;
    else if (isOp(token, ',')) {
      parts.push({ from, to: i });
      from = i + 1;
    }
  }
  if (range.to > range.from) parts.push({ from, to: range.to });
  return parts;
}
