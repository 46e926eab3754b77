/** What a VMM sees of a run, call by call: kept while it runs, so that two engines can be held against each other. */
import { EXITS, exitOf, exitSays } from '../../engine/exits.ts';
import { toHex } from '../../engine/hex.ts';
import type { Machine } from '../../engine/machine.ts';

/** Events that are kept; a run that goes on is compared by what it came to. */
const EVENTS_MAX = 100_000;

/** One KVM_RUN as userspace saw it: how it came back, with what, and where the guest was. */
export interface SeenRun {
  readonly says: string;
  readonly rip: string;
}

/** Keeps what every KVM_RUN of a machine came back with. */
export class Transcript {
  readonly events: SeenRun[] = [];
  /** Calls of KVM_RUN, kept or not. */
  total = 0;

  constructor(machine: Machine) {
    const run = machine.run.bind(machine);
    machine.run = () => {
      const ret = run();
      this.total += 1;
      if (this.events.length < EVENTS_MAX) this.events.push(seen(machine, ret));
      return ret;
    };
  }
}

function seen(machine: Machine, ret: number): SeenRun {
  const { exit } = machine;
  const name = exitOf(ret, exit);
  const row: { readonly carries: readonly string[] } | undefined =
    name === undefined ? undefined : EXITS[name];
  // What a store carries is the guest's; what a read carries is left over until it is answered.
  const data =
    row?.carries.includes('data') && exit.isWrite ? ` ${toHex(exit.data.subarray(0, exit.len))}` : '';
  return { says: exitSays(ret, exit) + data, rip: machine.getRegs().rip.toString(16) };
}
