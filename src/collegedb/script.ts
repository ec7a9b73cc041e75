import { isOp, isWord, type Token, tokenize } from '../sql/tokens';

/** The statements of a script, in order; comments and strings may hold `;`, and so may the bodies of triggers. */
export function statementsOf(script: string): string[] {
  const tokens = tokenize(script);
  const statements: string[] = [];
  let first: number | undefined;
  let depth = 0;
  let isTrigger = false;
  for (const [i, token] of tokens.entries()) {
    if (first === undefined) {
      if (isOp(token, ';')) continue;
      first = i;
      isTrigger = createsTrigger(tokens, i);
    }
    if (isTrigger && (isWord(token, 'begin') || isWord(token, 'case'))) depth++;
    if (isTrigger && isWord(token, 'end')) depth--;
    if (!isOp(token, ';') || depth > 0) continue;
    statements.push(script.slice((tokens[first] as Token).start, token.start));
    first = undefined;
    depth = 0;
  }
  if (first !== undefined) statements.push(script.slice((tokens[first] as Token).start, tokens.at(-1)?.end));
  return statements;
}

/** CREATE [TEMP | TEMPORARY] TRIGGER */
function createsTrigger(tokens: readonly Token[], at: number): boolean {
  if (!isWord(tokens[at], 'create')) return false;
  return isWord(tokens[at + 1], 'trigger') || isWord(tokens[at + 2], 'trigger');
}
