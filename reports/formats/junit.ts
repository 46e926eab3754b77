/** JUnit XML: a suite a scenario, a test case a strategy, failed when a claim about it is broken. */
import { type Comparison, NOT_OBSERVABLE, type Run } from '../../scenarios/run/comparison.ts';
import { escapeMarkup } from '../print/escape.ts';
import { stepsPerOperation } from '../print/words.ts';

/** For a CI server. A run about which nothing is claimed is skipped, so that it cannot pass by silence. */
export function renderJunit(c: Comparison): string {
  const suites = c.scenarios.map((s) => {
    const runs = c.runs.filter((r) => r.scenario === s.name);
    return `${open('testsuite', s.name, runs)}\n${runs.map(testcase).join('')}  </testsuite>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n${open('testsuites', `faultline ${c.version}`, c.runs).trimStart()}\n${suites.join('')}</testsuites>\n`;
}

function open(tag: string, name: string, runs: readonly Run[]): string {
  const failures = runs.filter(broken).length;
  const skipped = runs.filter((r) => !checked(r)).length;
  return `  <${tag} name="${escapeMarkup(name)}" tests="${runs.length}" failures="${failures}" errors="0" skipped="${skipped}">`;
}

/** Something was claimed of it that could be looked at. */
const checked = (r: Run): boolean => r.claims.some((x) => x.holds !== NOT_OBSERVABLE);

const broken = (r: Run): boolean => r.claims.some((x) => x.holds === false);

function testcase(r: Run): string {
  // A test case fails once, whatever is broken in it: readers of JUnit take one failure.
  const wrong = r.claims.filter((x) => x.holds === false);
  const seen = wrong.map((x) => `${x.claim}; seen: ${x.seen ?? 'something else'} (${x.source})`);
  const claims = escapeMarkup(wrong.map((x) => x.claim).join('; '));
  const failure =
    wrong.length === 0
      ? ''
      : `      <failure type="BrokenClaim" message="${claims}">${seen.map(escapeMarkup).join('\n')}</failure>\n`;
  const skipped = !checked(r) ? '      <skipped message="nothing is claimed about this run"/>\n' : '';
  return `    <testcase classname="faultline.${escapeMarkup(r.scenario)}" name="${escapeMarkup(r.strategy)}" assertions="${r.claims.length}">
${failure}${skipped}      <system-out>${escapeMarkup(`${r.fate}: ${r.detail}. ${r.because} Steps per operation: ${stepsPerOperation(r)}.${r.digest === undefined ? '' : ` Digest ${r.digest}.`}`)}</system-out>
    </testcase>
`;
}
