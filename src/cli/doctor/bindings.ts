import type { Project } from '../project/project';
import { type DoctorFinding, error, warning } from './finding';

/** What shows in the configuration without asking anybody. */
export function bindingFindings(project: Project): DoctorFinding[] {
  const findings: DoctorFinding[] = [];
  const byId = Map.groupBy(project.databases(), ([, { id }]) => id);
  for (const [id, same] of byId) {
    if (id === undefined || same.length < 2) continue;
    const names = same.map(([shard]) => shard).join(' and ');
    findings.push(error(`${names} are the same database, ${id}.`, 'Give each its own database_id.'));
  }
  const used = new Set(Object.values(project.sharding.shards));
  for (const { binding, name } of project.config.databases) {
    if (!used.has(binding)) {
      findings.push({ level: 'note', message: `${binding} (${name}) is bound, and no shard.` });
    }
  }
  const { kv } = project.sharding;
  if (kv !== undefined && !project.config.kv.includes(kv)) {
    findings.push(
      error(`sharded.config.ts names the KV namespace ${kv}, which is not bound.`, 'Add it to [[kv_namespaces]].'),
    );
  }
  const coordinator = project.coordinator();
  const migrated = project.config.classes;
  if (coordinator && coordinator.script === undefined && !migrated.includes(coordinator.className)) {
    findings.push(
      error(
        `No migration of wrangler's configuration makes the class ${coordinator.className}.`,
        `[[migrations]] tag = "v1", new_sqlite_classes = ["${coordinator.className}"]`,
      ),
    );
  }
  if (project.shardingPath === undefined) {
    findings.push(
      warning(
        'There is no sharded.config.ts, so every table is taken to be sharded by its primary key.',
        'Put what shardedDrizzle() is given into one, with defineSharding(): see docs/cli.md.',
      ),
    );
  }
  return findings;
}
