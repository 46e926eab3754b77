/** Settings by name that contents of memory and devices may depend on: a scenario's parameters. */
export type Settings = Readonly<Record<string, number | string>>;
