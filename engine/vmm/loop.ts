/**
 * The one loop of every VMM here: KVM_RUN, find its row in the table of exits, answer it. Scenarios, recorded cases and
 * probes are answers, and none of them has a loop or looks at an exit reason of its own.
 */
import { type ExitName, type ExitRecord, exitOf } from '../exits.ts';
import type { Machine } from '../machine.ts';

/**
 * What a VMM does when KVM_RUN comes back with `ret`: answers the exit in the record and returns undefined to enter the
 * guest again, or returns how the run ended. `name` is undefined for what the table of exits does not have.
 */
export type OnExit<End> = (name: ExitName | undefined, exit: ExitRecord, ret: number) => End | undefined;

/** Enters the guest at most `most` times; how it ended, or undefined if it has not. */
export function runVcpu<End>(machine: Machine, onExit: OnExit<End>, most: number): End | undefined {
  const { exit } = machine;
  for (let n = 0; n < most; n++) {
    const ret = machine.run();
    const end = onExit(exitOf(ret, exit), exit, ret);
    if (end !== undefined) return end;
  }
  return undefined;
}
