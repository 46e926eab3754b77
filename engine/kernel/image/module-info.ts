/** What a kernel module says of itself in its `.modinfo` section: names, dependencies, the kernel it was built for. */

const SHDR_NAME = 0;
const SHDR_OFFSET = 24;
const SHDR_SIZE = 32;

/** What is used of it. */
export interface ModuleInfo {
  readonly name: string;
  readonly depends: readonly string[];
  /** The kernel's release and the options that must match, as the kernel compares them. */
  readonly vermagic: string;
}

/** Reads it; undefined when the file is no module. */
export function moduleInfo(file: Uint8Array): ModuleInfo | undefined {
  const section = sectionOf(file, '.modinfo');
  if (section === undefined) return undefined;
  const fields = new Map<string, string>();
  for (const entry of new TextDecoder('latin1').decode(section).split('\0')) {
    const eq = entry.indexOf('=');
    if (eq > 0) fields.set(entry.slice(0, eq), entry.slice(eq + 1));
  }
  const name = fields.get('name');
  if (name === undefined) return undefined;
  return {
    name,
    depends: (fields.get('depends') ?? '').split(',').filter(Boolean),
    vermagic: (fields.get('vermagic') ?? '').trim(),
  };
}

/** The bytes of a section of a 64-bit little-endian ELF file. */
function sectionOf(file: Uint8Array, wanted: string): Uint8Array | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 64 || view.getUint32(0, false) !== 0x7f454c46) return undefined;
  const table = Number(view.getBigUint64(40, true));
  const [size, count, names] = [58, 60, 62].map((at) => view.getUint16(at, true));
  if (size === undefined || count === undefined || names === undefined) return undefined;
  if (table + size * count > file.length) return undefined;
  const bytesOf = (i: number): Uint8Array => {
    const at = table + i * size;
    const from = Number(view.getBigUint64(at + SHDR_OFFSET, true));
    return file.subarray(from, from + Number(view.getBigUint64(at + SHDR_SIZE, true)));
  };
  const strings = new TextDecoder('latin1').decode(bytesOf(names));
  for (let i = 0; i < count; i++) {
    const at = view.getUint32(table + i * size + SHDR_NAME, true);
    if (strings.slice(at, strings.indexOf('\0', at)) === wanted) return bytesOf(i);
  }
  return undefined;
}
