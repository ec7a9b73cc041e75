import { UnsupportedStatementError } from '../errors';
import { type Layout, TablesNeeded } from '../layout/layout';
import type { Table } from '../layout/table';
import type { Core, Cte, Parsed, Range, Select, Source } from '../sql/ast';
import { conjunctsOf } from '../sql/conditions';
import { columnsIn, functionsIn, inTables, selectsIn } from '../sql/functions';
import { EMPTY_CORE, parseWhole } from '../sql/parse-select';
import { Reader } from '../sql/reader';
import { foldName } from '../sql/tokens';
import { constrainClasses, uniteEqualKeys } from './confine';
import { KeyClass } from './key-class';
import { groupsByKey, windowsByKey } from './locality';
import { liftColumns, outputsOf, tableColumns, unknownColumns } from './outputs';
import { type BoundCore, type BoundSelect, type BoundSource, resolve, type Scope, type TableRef } from './scope';

/** A statement that mentions CTEs which mention CTEs ... could grow without bound. */
const MAX_REFS = 500;
/** The same, of SELECTs: those that name no table. */
const MAX_SELECTS = 2000;

/** CTEs by folded name, each with those that its body sees: all of its WITH, also itself and later ones. */
export type CteScope = ReadonlyMap<string, { readonly cte: Cte; readonly ctes: CteScope }>;

export const NO_CTES: CteScope = new Map();

/** Finds out what every name in a statement stands for, and which keys are equal. */
export class Binder {
  /** Every mention of a table, whatever the depth. */
  readonly refs: TableRef[] = [];
  /** Names of all CTEs, folded. */
  readonly cteNames = new Set<string>();
  /** Every SELECT, whatever the depth. */
  readonly selects: BoundSelect[] = [];
  /** The rows of one query make up the values of another in a way that is not followed further: only one SQLite can tell. */
  entangled = false;
  #levels = 0;
  readonly #subqueries = new Map<number, BoundSelect>();
  /** CTEs whose body is being bound: a mention of one is recursive. */
  readonly #open = new Set<Cte>();

  constructor(
    readonly parsed: Parsed,
    readonly layout: Layout,
  ) {}

  get tokens() {
    return this.parsed.tokens;
  }

  /** @throws TablesNeeded when the database has to be asked first. */
  table(name: string, schema: string | undefined): Table {
    if (schema !== undefined && foldName(schema) !== 'main') {
      throw new UnsupportedStatementError(`${schema}.${name}: D1 has only the schema main.`, { tables: [name] });
    }
    const table = this.layout.find(name);
    if (!table) throw new TablesNeeded([name]);
    return table;
  }

  /** Binds a select. `parent` is the scope that it may refer to: what is around its FROM clause, not what is beside it. */
  select(select: Select, parent: Scope | undefined, outer: CteScope): BoundSelect {
    const ctes = this.withCtes(select.ctes, outer);
    const cores = select.cores.map((core) => this.core(core, parent, ctes));
    const [first, ...others] = cores as [BoundCore, ...BoundCore[]];
    for (const { expr } of select.orderBy) {
      if (others.length === 0) this.#noteFunctions(first, expr);
      this.subqueriesIn(expr, first.scope, ctes);
    }
    for (const range of [select.limit, select.offset]) if (range) this.subqueriesIn(range, first.scope, ctes);
    const columns = outputsOf(first, others.length > 0, this.tokens);
    const entangled = this.entangled;
    const bound: BoundSelect = {
      select,
      cores,
      columns,
      transparent: (key) => !entangled && isTransparent(select, cores, key, this.parsed),
    };
    this.selects.push(bound);
    return bound;
  }

  withCtes(list: readonly Cte[], outer: CteScope): CteScope {
    if (list.length === 0) return outer;
    const scope = new Map(outer);
    for (const cte of list) {
      if (!cte.select) {
        throw new UnsupportedStatementError(`The CTE ${cte.name} is no SELECT.`, { sql: this.parsed.sql });
      }
      const name = foldName(cte.name);
      this.cteNames.add(name);
      scope.set(name, { cte, ctes: scope });
    }
    return scope;
  }

  /** Binds one SELECT of a compound, or the parts of a write that are like one. The target of a write is never a CTE. */
  core(core: Core, parent: Scope | undefined, ctes: CteScope, target?: Source): BoundCore {
    const level = ++this.#levels;
    if (level > MAX_SELECTS) {
      throw new UnsupportedStatementError(`The statement holds more than ${MAX_SELECTS} SELECTs, its CTEs repeated.`, {
        sql: this.parsed.sql,
      });
    }
    const sources: BoundSource[] = [];
    const aliases = new Set(core.columns.flatMap(({ alias }) => (alias === undefined ? [] : [foldName(alias)])));
    const bound: BoundCore = {
      core,
      level,
      sources,
      scope: { level, sources, aliases, parent },
      conjuncts: core.where ? conjunctsOf(this.tokens, core.where) : [],
      outerConjuncts: new Map(),
      hasRightJoin: core.from.some((source) => source.join === 'right' || source.join === 'full'),
      aggregate: core.groupBy.length > 0 || core.having !== undefined,
      windows: core.window !== undefined,
    };
    for (const source of core.from) {
      const one = this.#source(source, bound, source === target ? NO_CTES : ctes);
      sources.push(one);
      if (!source.on || core.opaqueFrom || bound.hasRightJoin) continue;
      const terms = conjunctsOf(this.tokens, source.on);
      if (source.join === 'left') bound.outerConjuncts.set(one, terms);
      else bound.conjuncts.push(...terms);
    }
    const conditions = [core.where, core.having, core.window, ...core.groupBy, ...core.groupConditions];
    const expressions = [...conditions, ...core.columns.map((column) => column.expr), ...core.values];
    for (const range of [...expressions, ...core.from.flatMap((source) => [source.on, source.args])]) {
      if (range) this.subqueriesIn(range, bound.scope, ctes);
    }
    for (const range of [...core.columns.map((column) => column.expr), core.having]) {
      if (range) this.#noteFunctions(bound, range);
    }
    uniteEqualKeys(bound, this);
    constrainClasses(bound, this.tokens);
    return bound;
  }

  #noteFunctions(bound: BoundCore, range: Range): void {
    const { aggregates, window } = functionsIn(this.tokens, range);
    bound.aggregate ||= aggregates.length > 0;
    bound.windows ||= window;
    // `(select max(u.age))` over columns of an outer query only is an aggregate of that query, not of this one.
    if (bound.scope.parent && aggregates.some((args) => this.#isForeign(bound, args))) this.entangled = true;
  }

  #isForeign(bound: BoundCore, args: Range): boolean {
    const columns = columnsIn(this.tokens, args);
    const own = { ...bound.scope, parent: undefined };
    return columns.length > 0 && columns.every(({ path }) => resolve(own, path) === undefined);
  }

  #source(source: Source, core: BoundCore, ctes: CteScope): BoundSource {
    if (source.kind === 'subquery' && source.select) {
      return liftColumns(source, this.select(source.select, core.scope.parent, ctes), core, []);
    }
    if (source.kind === 'function')
      return { source, columns: unknownColumns(source.name), ref: undefined, derived: undefined };
    const cte = source.schema === undefined ? ctes.get(foldName(source.name)) : undefined;
    if (cte && this.#open.has(cte.cte)) {
      this.entangled = true;
      return { source, columns: undefined, ref: undefined, derived: undefined };
    }
    if (cte?.cte.select) {
      this.#open.add(cte.cte);
      const derived = this.select(cte.cte.select, undefined, cte.ctes);
      this.#open.delete(cte.cte);
      return liftColumns(source, derived, core, cte.cte.columns);
    }
    return this.#mention(source, core);
  }

  #mention(source: Source, core: BoundCore): BoundSource {
    const table = this.table(source.name, source.schema);
    const { placement } = table;
    const key =
      placement.kind === 'sharded' ? new KeyClass(core.level, placement.keyspace, placement.key.affinity) : undefined;
    const nullable = core.hasRightJoin || core.core.opaqueFrom || source.join === 'left';
    const ref: TableRef = { table, source, alias: source.alias, key, nullable, core };
    this.refs.push(ref);
    if (this.refs.length > MAX_REFS) {
      throw new UnsupportedStatementError(`The statement names more than ${MAX_REFS} tables.`, {
        sql: this.parsed.sql,
      });
    }
    return { source, columns: tableColumns(ref), ref, derived: undefined };
  }

  /** Binds the subqueries in an expression, once each. */
  subqueriesIn(range: Range, scope: Scope, ctes: CteScope): void {
    for (const inside of selectsIn(this.tokens, range)) {
      const select = parseWhole(new Reader(this.parsed.sql, this.tokens, inside));
      this.#subqueries.set(inside.from, this.select(select, scope, ctes));
    }
    // `x in tablename` reads it without a FROM clause.
    for (const { name, nameAt, hints } of inTables(this.tokens, range)) {
      const base = {
        kind: 'table',
        name,
        nameAt,
        alias: name,
        // It is no FROM item: another name in its place needs no alias.
        aliased: true,
        join: 'first',
        on: undefined,
        using: [],
        natural: false,
      } as const;
      const schema = hints.length > 0 ? 'main' : undefined;
      const source: Source = { ...base, schema, select: undefined, args: undefined, hints };
      this.core({ ...EMPTY_CORE, from: [source], opaqueFrom: true }, undefined, ctes);
    }
  }

  /** The subquery whose first token this is. */
  subquery(from: number): BoundSelect | undefined {
    return this.#subqueries.get(from);
  }

  nextLevel(): number {
    return ++this.#levels;
  }
}

/** Running the select on some keys only gives just its rows of those keys. */
function isTransparent(select: Select, cores: readonly BoundCore[], key: KeyClass, { tokens }: Parsed): boolean {
  const [bound] = cores;
  if (!bound || cores.length > 1 || select.limitClause || bound.hasRightJoin) return false;
  if (!windowsByKey(bound, select, key, tokens)) return false;
  if (bound.core.opaqueFrom || bound.core.values.length > 0) return false;
  return !bound.aggregate || groupsByKey(bound, key, tokens);
}
