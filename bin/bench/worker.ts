/** A fresh process of `compare bench --against c`: told what to do by its one argument, answers with JSON. */
import { STRATEGIES } from '../../strategies/index.ts';
import { loadAddon } from './addon.ts';
import { measureAgainstC } from './against-c.ts';
import type { WorkerAnswer, WorkerTask } from './processes.ts';
import { measureScaling } from './scaling.ts';

/** The strategy whose ROM stores are the scaling curves': the flagged slot. */
const SCALED = 'readonly-memslot';

const task = JSON.parse(process.argv[2] ?? '{}') as WorkerTask;
const strategies = STRATEGIES.filter((s) => task.strategies.length === 0 || task.strategies.includes(s.name));
const scaled = STRATEGIES.find((s) => s.name === SCALED);
const answer: WorkerAnswer =
  task.what === 'rows' || scaled === undefined
    ? { rows: measureAgainstC(strategies, loadAddon(task.addon), task.pairs) }
    : { scaling: measureScaling(task.addon, scaled, STRATEGIES, task.pairs) };
process.stdout.write(JSON.stringify(answer));
