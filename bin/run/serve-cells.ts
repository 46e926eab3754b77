/** In a worker process: the runs of a plan, one at a time. */

import { UsageError } from '../io.ts';
import { changedBuiltin } from '../modules/intrinsics.ts';
import type { Service } from '../pool/messages.ts';
import { modulesOf, type Plan } from './plan.ts';
import { prepare } from './prepare.ts';

/** A run by the places of its scenario and its strategy in the comparison. */
export interface Cell {
  readonly scenario: number;
  readonly strategy: number;
}

/** Prepares the plan; a task is a `Cell`, its answer a `Run`. */
export async function serveCells(setup: unknown, say: (doing: string) => void): Promise<Service> {
  const plan = setup as Plan;
  const modules = modulesOf(plan);
  const prepared = await prepare(plan, say);
  return {
    ready: prepared.frame,
    async run(task) {
      const { scenario, strategy } = task as Cell;
      const run = await prepared.run(scenario, strategy);
      const changed = modules.length === 0 ? undefined : changedBuiltin();
      if (changed !== undefined) {
        throw new UsageError(`${modules.join(', ')}: changes ${changed}, which everything here relies on`);
      }
      return run;
    },
  };
}
