import type { Block, Catalog, CatalogView, Enrolled, OpenRequest } from './catalog';
import { confirmProgram } from './confirm';
import { blockProgram, sequenceProgram } from './numbers';
import { openProgram } from './open';
import type { Program, Row, Statement } from './program';
import { CATALOG_TABLES, isMissingTable } from './tables';
import { mapProgram } from './view';

/**
 * The catalog in a D1, for clusters without a coordinator. Each operation is one batch, which D1 runs as one
 * transaction on the primary; the first one that has something to write also creates the tables.
 *
 * @example
 * const catalog = new D1Catalog(env.DB_EAST);
 */
export class D1Catalog implements Catalog {
  readonly #database: D1Database;

  constructor(database: D1Database) {
    this.#database = database;
  }

  async open(request: OpenRequest): Promise<CatalogView> {
    return this.#write(openProgram(request));
  }

  async map(): Promise<CatalogView | undefined> {
    return this.#look(mapProgram);
  }

  async confirm(done: Enrolled[]): Promise<CatalogView> {
    return this.#write(confirmProgram(done));
  }

  async block(counter: string, size: number, atLeast?: number): Promise<Block> {
    return this.#write(blockProgram(counter, size, atLeast));
  }

  async sequence(name: string, size: number, atLeast?: number): Promise<Block | undefined> {
    const program = sequenceProgram(name, size, atLeast);
    return atLeast === undefined ? this.#look(program) : this.#write(program);
  }

  /** For what makes nothing new: a look at a database that holds no catalog must not leave tables in it. */
  async #look<T>(program: Program<T>): Promise<T | undefined> {
    try {
      return await this.#run(program);
    } catch (error) {
      if (isMissingTable(error)) return undefined;
      throw error;
    }
  }

  async #write<T>(program: Program<T>): Promise<T> {
    try {
      return await this.#run(program);
    } catch (error) {
      // That batch was rolled back, so nothing is done twice. Several callers may create the tables at once.
      if (!isMissingTable(error)) throw error;
      return this.#run(program, CATALOG_TABLES);
    }
  }

  async #run<T>(program: Program<T>, before: readonly string[] = []): Promise<T> {
    const results = await this.#database.batch<Row>([
      ...before.map((sql) => this.#database.prepare(sql)),
      ...program.statements.map((statement) => this.#prepare(statement)),
    ]);
    return program.read(results.slice(before.length).map((result) => result.results));
  }

  #prepare({ sql, params }: Statement): D1PreparedStatement {
    return this.#database.prepare(sql).bind(...params);
  }
}
