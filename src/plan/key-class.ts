import { allOf, type KeySet } from './key-set';

/**
 * Shard-key columns that a statement makes equal: rows that meet in it live on one shard. Made while a statement is read, as
 * a union-find forest; `up` leads from a subquery's class to the class of the row around it.
 */
export class KeyClass {
  #parent: KeyClass | undefined;
  #up: KeyClass | undefined;
  #constraints: KeySet[] = [];

  constructor(
    /** The FROM clause whose rows it belongs to. */
    readonly level: number,
    readonly keyspace: string,
    readonly affinity: string,
  ) {}

  find(): KeyClass {
    let root: KeyClass = this;
    while (root.#parent) root = root.#parent;
    return root;
  }

  /** Only keys of one keyspace and one affinity are placed alike when SQLite calls them equal. */
  canEqual(other: KeyClass): boolean {
    return this.keyspace === other.keyspace && this.affinity === other.affinity;
  }

  unite(other: KeyClass): void {
    const a = this.find();
    const b = other.find();
    if (a === b) return;
    b.#parent = a;
    a.#constraints.push(...b.#constraints);
    a.#up ??= b.#up;
  }

  /** Within one row of the enclosing query, only keys of `outer` matter here. */
  tieTo(outer: KeyClass): void {
    const root = this.find();
    if (root !== outer.find()) root.#up ??= outer;
  }

  constrain(set: KeySet): void {
    if (set.kind !== 'all') this.find().#constraints.push(set);
  }

  /** What the conditions of this level alone say. */
  get ownConstraints(): readonly KeySet[] {
    return this.find().#constraints;
  }

  /** The keys that can matter, by this level's conditions and those around it. */
  keySet(): KeySet {
    return allOf(this.#chain().flatMap((step) => [...step.#constraints]));
  }

  /** The outermost class that this one is tied to; itself when it is tied to none. */
  outermost(): KeyClass {
    const chain = this.#chain();
    return chain[chain.length - 1] as KeyClass;
  }

  #chain(): KeyClass[] {
    const chain: KeyClass[] = [];
    for (let step: KeyClass | undefined = this.find(); step && !chain.includes(step); step = step.#up?.find())
      chain.push(step);
    return chain;
  }
}
