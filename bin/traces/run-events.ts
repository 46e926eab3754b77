/** The events of one run of ours, a batch at a time: the same that a trace of a real kernel is read into. */

import { setImmediate } from 'node:timers/promises';
import { createCoreMachine } from '../../engine/core/core-machine.ts';
import { driveLooking } from '../../scenarios/run/drive.ts';
import { bootProgram, budgetOf, exitsMaxOf, prepareProgram } from '../../scenarios/run/run.ts';
import type { TraceEvent } from '../../scenarios/traces/read/trace-event.ts';
import { RunRecorder } from '../../scenarios/traces/record.ts';
import { type Io, UsageError } from '../io.ts';
import type { Plan } from '../run/plan.ts';
import { choose } from '../run/prepare.ts';

/** Events of a run that may be kept before they are handed on: those between two looks at the world. */
type Batch = TraceEvent[];

/** Runs the one scenario of a plan under its one strategy and hands on what its machine tells. */
export async function* runEvents(plan: Plan, io: Io): AsyncGenerator<readonly TraceEvent[]> {
  const { paging, seed, profile } = plan;
  const chosen = await choose(plan);
  const [scenario] = chosen.scenarios;
  const [strategy] = chosen.strategies;
  if (scenario === undefined || strategy === undefined)
    throw new UsageError('export needs one scenario and one strategy');
  const program = prepareProgram(scenario, chosen.params.get(scenario.name) ?? {}, seed);
  const machine = createCoreMachine({ series: strategy.series, paging, budget: budgetOf(program), lives: 0 });
  let batch: Batch = [];
  new RunRecorder(machine, profile, 'faultline', (event) => batch.push(event));
  const vmm = bootProgram(program, strategy, machine);
  const full: Batch[] = [];
  const driven = driveLooking(vmm, scenario, program.params, exitsMaxOf(program), async () => {
    full.push(batch);
    batch = [];
    await setImmediate();
    return io.signal.aborted;
  });
  await driven;
  yield* full;
  yield batch;
}
