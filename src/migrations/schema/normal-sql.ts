import { SqlSyntaxError } from '../../errors';
import { foldName, isName, isOp, type Token, tokenize } from '../../sql/tokens';

/** Two ways to write the same operator. */
const SAME: Readonly<Record<string, string>> = { '==': '=', '!=': '<>' };

/**
 * SQL in one way of writing: white space, comments, the case of words and how names are quoted make no difference.
 *
 * @param table Names that are qualified with it stand alone, as a rebuilt table has them either way.
 * @example
 * normalSql('"Users"."age"  >= 18', 'users'); // 'age >= 18'
 */
export function normalSql(sql: string, table?: string): string {
  try {
    return normalTokens(tokenize(sql), table);
  } catch (error) {
    // SQLite has accepted it, whatever it is.
    if (error instanceof SqlSyntaxError) return sql.trim().replace(/\s+/g, ' ');
    throw error;
  }
}

/** The same of tokens that are read already. */
export function normalTokens(tokens: readonly Token[], table?: string): string {
  const parts: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as Token;
    const isQualifier = table !== undefined && isOp(tokens[i + 1], '.') && isName(token);
    if (isQualifier && foldName(token.value) === foldName(table)) i++;
    else parts.push(textOf(token));
  }
  return parts.join(' ');
}

function textOf({ kind, value }: Token): string {
  if (kind === 'word' || kind === 'name') return foldName(value);
  if (kind === 'string') return `'${value.replaceAll("'", "''")}'`;
  // Without its quotes it would be a number.
  if (kind === 'blob') return `x'${value.toLowerCase()}'`;
  return SAME[value] ?? value;
}
