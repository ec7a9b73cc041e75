import { UnsupportedStatementError } from '../errors';
import { type Layout, TablesNeeded } from '../layout/layout';
import type { Table } from '../layout/table';
import type { Core, Cte, Parsed, Range, ResultColumn, Select, Source } from '../sql/ast';
import { conjunctsOf } from '../sql/conditions';
import { functionsIn, inTables, selectsIn } from '../sql/functions';
import { parseWhole } from '../sql/parse-select';
import { Reader } from '../sql/reader';
import { foldName } from '../sql/tokens';
import { constrainClasses, uniteEqualKeys } from './confine';
import { KeyClass } from './key-class';
import {
  type BoundCore,
  type BoundSelect,
  type BoundSource,
  type OutputColumn,
  resolveRange,
  type Scope,
  type TableRef,
} from './scope';

/** A statement that mentions CTEs which mention CTEs ... could grow without bound. */
const MAX_REFS = 500;

/** CTEs by folded name. `pending` marks one whose own body is being read: a recursive mention. */
type CteScope = ReadonlyMap<string, { readonly cte: Cte; readonly ctes: CteScope } | 'pending'>;

/** What binding found in the whole statement, whatever the depth. */
export class Binder {
  readonly refs: TableRef[] = [];
  recursive = false;
  #levels = 0;
  readonly #subqueries = new Map<number, BoundSelect>();

  constructor(
    readonly parsed: Parsed,
    readonly layout: Layout,
  ) {}

  get tokens() {
    return this.parsed.tokens;
  }

  table(name: string, schema: string | undefined): Table {
    if (schema !== undefined && foldName(schema) !== 'main') {
      throw new UnsupportedStatementError(`${schema}.${name}: D1 has only the schema main.`, { tables: [name] });
    }
    const table = this.layout.find(name);
    if (!table) throw new TablesNeeded([name]);
    return table;
  }

  /** Binds a select. `parent` is the scope it may refer to; a derived table sees only what is around its FROM clause. */
  select(select: Select, parent: Scope | undefined, outerCtes: CteScope): BoundSelect {
    const ctes = this.withCtes(select.ctes, outerCtes);
    const cores = select.cores.map((core) => this.#core(core, parent, ctes));
    const outputs = select.cores.length === 1 ? this.#outputs(cores[0] as BoundCore) : this.#compoundOutputs(cores);
    for (const range of [...select.orderBy.map((term) => term.expr), select.limit, select.offset]) {
      if (range) this.subqueriesIn(range, (cores[0] as BoundCore).scope, ctes);
    }
    const [only, ...others] = cores;
    if (only && others.length === 0) for (const { expr } of select.orderBy) this.#noteFunctions(only, expr);
    return { select, cores, columns: outputs, transparent: (key) => isTransparent(select, cores, key, this) };
  }

  withCtes(list: readonly Cte[], outer: CteScope): CteScope {
    if (list.length === 0) return outer;
    const scope = new Map(outer);
    for (const cte of list) {
      if (!cte.select)
        throw new UnsupportedStatementError(`The CTE ${cte.name} is no SELECT.`, { sql: this.parsed.sql });
      const visible = new Map(scope);
      visible.set(foldName(cte.name), 'pending');
      scope.set(foldName(cte.name), { cte, ctes: visible });
    }
    return scope;
  }

  #core(core: Core, parent: Scope | undefined, ctes: CteScope): BoundCore {
    const level = ++this.#levels;
    const sources: BoundSource[] = [];
    const hasRightJoin = core.from.some((source) => source.join === 'right' || source.join === 'full');
    const aliases = new Set(
      core.columns.flatMap((column) => (column.alias === undefined ? [] : [foldName(column.alias)])),
    );
    const bound: BoundCore = {
      core,
      level,
      sources,
      scope: { level, sources, aliases, parent },
      conjuncts: core.where ? conjunctsOf(this.tokens, core.where) : [],
      outerConjuncts: new Map(),
      hasRightJoin,
      aggregate: core.groupBy.length > 0 || core.having !== undefined,
      windows: core.window !== undefined,
    };
    for (const source of core.from) {
      const one = this.source(source, bound, ctes);
      sources.push(one);
      if (!source.on || core.opaqueFrom || hasRightJoin) continue;
      const terms = conjunctsOf(this.tokens, source.on);
      if (source.join === 'left') bound.outerConjuncts.set(one, terms);
      else bound.conjuncts.push(...terms);
    }
    const expressions = [
      ...core.columns.map((column) => column.expr),
      ...core.groupBy,
      core.where,
      core.having,
      core.window,
    ];
    for (const range of [...expressions, ...core.from.map((source) => source.on)]) {
      if (range) this.subqueriesIn(range, bound.scope, ctes);
    }
    for (const { expr } of core.columns) this.#noteFunctions(bound, expr);
    this.confine(bound);
    return bound;
  }

  #noteFunctions(bound: BoundCore, range: Range): void {
    const { aggregate, window } = functionsIn(this.tokens, range);
    bound.aggregate ||= aggregate;
    bound.windows ||= window;
  }

  /** Finds which keys are equal, then what their conditions say of them. */
  confine(bound: BoundCore): void {
    uniteEqualKeys(bound, this);
    constrainClasses(bound, this);
  }

  source(source: Source, core: BoundCore, ctes: CteScope): BoundSource {
    if (source.kind === 'subquery' && source.select) {
      return this.#derived(source, this.select(source.select, core.scope.parent, ctes), core, []);
    }
    if (source.kind === 'function')
      return { source, columns: functionColumns(source), ref: undefined, derived: undefined };
    const cte = source.schema === undefined ? ctes.get(foldName(source.name)) : undefined;
    if (cte === 'pending') {
      this.recursive = true;
      return { source, columns: undefined, ref: undefined, derived: undefined };
    }
    if (cte?.cte.select)
      return this.#derived(source, this.select(cte.cte.select, undefined, cte.ctes), core, cte.cte.columns);
    return this.#table(source, core);
  }

  #table(source: Source, core: BoundCore): BoundSource {
    const table = this.table(source.name, source.schema);
    const { placement } = table;
    const key =
      placement.kind === 'sharded' ? new KeyClass(core.level, placement.keyspace, placement.key.affinity) : undefined;
    const nullable = core.hasRightJoin || core.core.opaqueFrom || source.join === 'left';
    const ref: TableRef = { table, source, alias: source.alias, key, nullable, core };
    this.refs.push(ref);
    if (this.refs.length > MAX_REFS)
      throw new UnsupportedStatementError(`The statement names more than ${MAX_REFS} tables.`, {
        sql: this.parsed.sql,
      });
    const columns = table.columns.map(
      (column): OutputColumn => ({
        name: column.name,
        ref,
        column,
        key: placement.kind === 'sharded' && placement.key === column ? key : undefined,
      }),
    );
    return { source, columns: table.columns.length > 0 ? columns : undefined, ref, derived: undefined };
  }

  /** A subquery or CTE in FROM. Keys that it lets through unchanged become keys of this level. */
  #derived(source: Source, derived: BoundSelect, core: BoundCore, names: readonly string[]): BoundSource {
    const lifted = new Map<KeyClass, KeyClass>();
    const columns = derived.columns?.map((column, i): OutputColumn => {
      const name = names[i] ?? column.name;
      const inner = column.key?.find();
      if (!inner || !derived.transparent(inner)) return { ...column, name, key: undefined };
      let key = lifted.get(inner);
      if (!key) {
        key = new KeyClass(core.level, inner.keyspace, inner.affinity);
        if (!core.hasRightJoin && !core.core.opaqueFrom && source.join !== 'left')
          for (const set of inner.ownConstraints) key.constrain(set);
        inner.tieTo(key);
        lifted.set(inner, key);
      }
      return { ...column, name, key };
    });
    return { source, columns, ref: undefined, derived };
  }

  /** Binds the subqueries in an expression, once each. */
  subqueriesIn(range: Range, scope: Scope, ctes: CteScope): void {
    for (const inside of selectsIn(this.tokens, range)) {
      const select = parseWhole(new Reader(this.parsed.sql, this.tokens, inside));
      this.#subqueries.set(inside.from, this.select(select, scope, ctes));
    }
    for (const { name } of inTables(this.tokens, range)) {
      if (!ctes.has(foldName(name))) this.mention(name);
    }
  }

  /** The subquery whose first token this is. */
  subquery(from: number): BoundSelect | undefined {
    return this.#subqueries.get(from);
  }

  /** A table that is read without a FROM clause of its own: `x in tablename`. */
  mention(name: string): void {
    const source: Source = {
      kind: 'table',
      name,
      schema: undefined,
      alias: name,
      join: 'first',
      on: undefined,
      using: [],
      natural: false,
      select: undefined,
      hints: [],
    };
    const level = ++this.#levels;
    const core: Core = {
      distinct: false,
      columns: [],
      from: [source],
      opaqueFrom: true,
      where: undefined,
      groupBy: [],
      having: undefined,
      window: undefined,
      columnsEnd: 0,
      range: { from: 0, to: 0 },
    };
    const scope: Scope = { level, sources: [], aliases: new Set(), parent: undefined };
    const bound: BoundCore = {
      core,
      level,
      sources: [],
      scope,
      conjuncts: [],
      outerConjuncts: new Map(),
      hasRightJoin: false,
      aggregate: false,
      windows: false,
    };
    this.#table(source, bound);
  }

  nextLevel(): number {
    return ++this.#levels;
  }

  #outputs(bound: BoundCore): OutputColumn[] | undefined {
    const columns: OutputColumn[] = [];
    for (const column of bound.core.columns) {
      if (column.star === undefined) {
        columns.push(this.output(column, bound.scope));
        continue;
      }
      for (const source of bound.sources) {
        if (column.star !== '' && foldName(column.star) !== foldName(source.source.alias)) continue;
        if (!source.columns || source.source.using.length > 0 || source.source.natural) return undefined;
        columns.push(...source.columns);
      }
    }
    return columns;
  }

  output(column: ResultColumn, scope: Scope): OutputColumn {
    const bound = resolveRange(scope, this.tokens, column.expr);
    const last = this.tokens[column.expr.to - 1];
    const name = column.alias ?? (bound ? (last?.value ?? '') : '');
    // A key of an outer query, selected by an inner one, is constant there, not a key of the inner rows.
    const own = bound?.key && bound.key.level === scope.level ? bound.key : undefined;
    return { name, ref: bound?.ref, column: bound?.column, key: own };
  }

  #compoundOutputs(cores: readonly BoundCore[]): OutputColumn[] | undefined {
    return this.#outputs(cores[0] as BoundCore)?.map(({ name }) => ({
      name,
      ref: undefined,
      column: undefined,
      key: undefined,
    }));
  }
}

const functionColumns = (source: Source): OutputColumn[] | undefined =>
  ['json_each', 'json_tree', 'jsonb_each', 'jsonb_tree'].includes(foldName(source.name))
    ? 'key value type atom id parent fullkey path json root'
        .split(' ')
        .map((name) => ({ name, ref: undefined, column: undefined, key: undefined }))
    : undefined;

/** Running the select on some keys only gives just its rows of those keys. */
function isTransparent(select: Select, cores: readonly BoundCore[], key: KeyClass, binder: Binder): boolean {
  const [bound] = cores;
  if (!bound || cores.length > 1 || select.limitClause || bound.windows || bound.hasRightJoin || bound.core.opaqueFrom)
    return false;
  return !bound.aggregate || groupsByKey(bound, key, binder);
}

/** GROUP BY names the key itself, so that no group has rows of two keys. */
export function groupsByKey(bound: BoundCore, key: KeyClass, binder: Binder): boolean {
  return bound.core.groupBy.some((term) => resolveRange(bound.scope, binder.tokens, term)?.key?.find() === key.find());
}
