import { UsageError } from '../errors';
import type { Project } from '../project/project';
import type { Place } from './fleet';

export async function openRemote(project: Project, _options: { url: string | undefined }): Promise<Place> {
  throw new UsageError(`not yet ${project.root}`);
}
