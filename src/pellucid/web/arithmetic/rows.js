/**
 * Index maps: the assignments of the index names that address a number, and what else they address. The same as the end
 * of glassbox/arithmetic/evaluator.py.
 */

/** @typedef {import("./declaration.js").Stage} Stage */
/** @typedef {import("./declaration.js").Axis} Axis */
/** Assignments of the index names, one per row. @typedef {{of: Int32Array, names: Record<string, Int32Array>}} Rows */
/** Indices of several numbers: one array per axis. @typedef {{count: number, axes: Int32Array[]}} Indices */

/**
 * Load an op's long tables of indices, which are sent as arrays: {array: "table/3/0"} instead of a list.
 * @param {import("./declaration.js").Op} op
 * @param {(array: string) => Promise<{data: ArrayLike<number>}>} load
 * @returns {Promise<import("./declaration.js").Op>}
 */
export async function withTables(op, load) {
  const filled = async (/** @type {Axis} */ [steps, offset]) => {
    const each = Object.entries(steps).map(async ([name, step]) => {
      const { array } = /** @type {any} */ (step);
      return [name, array ? (await load(array)).data : step];
    });
    return /** @type {Axis} */ ([Object.fromEntries(await Promise.all(each)), offset]);
  };
  const stages = op.stages.map(async (stage) => {
    const maps = Object.entries(stage.maps).map(async ([name, axes]) => [name, await Promise.all(axes.map(filled))]);
    return { ...stage, maps: Object.fromEntries(await Promise.all(maps)) };
  });
  return { ...op, stages: await Promise.all(stages) };
}

/**
 * @param {number[]} index
 * @returns {Indices}
 */
export function one(index) {
  return { count: 1, axes: index.map((place) => Int32Array.of(place)) };
}

/**
 * All assignments of the stage's index names under which `name` is addressed at each of the `wanted` indices. Names
 * that the index leaves free run over their ranges, the last one fastest, in the order of the written sum.
 * @param {Stage} stage
 * @param {string} name
 * @param {Indices} wanted
 * @param {number[]} shape
 * @returns {Rows}
 */
export function solve(stage, name, wanted, shape) {
  const axes = stage.maps[name];
  const wantedAxes = axes.length === shape.length ? wanted.axes : [flat(wanted, shape)];
  /** @type {Rows} */
  let rows = { of: Int32Array.from({ length: wanted.count }, (_, row) => row), names: {} };
  axes.forEach((axis, number) => {
    rows = solveAxis(axis, wantedAxes[number], stage.ranges, rows);
  });
  for (const [free, size] of Object.entries(stage.ranges)) {
    if (!(free in rows.names)) rows = expanded(rows, free, size);
  }
  return rows;
}

/**
 * @param {Axis} axis
 * @param {Int32Array} values
 * @param {Record<string, number>} ranges
 * @param {Rows} rows
 * @returns {Rows}
 */
function solveAxis([steps, offset], values, ranges, rows) {
  const open = Object.keys(steps).filter((name) => !(name in rows.names));
  // solve for the widest name, try the values of the others
  const solved = open.length ? open.reduce((a, b) => (ranges[b] > ranges[a] ? b : a)) : null;
  for (const name of open) {
    if (name !== solved) rows = expanded(rows, name, ranges[name]);
  }
  const known = Object.fromEntries(Object.entries(steps).filter(([name]) => name !== solved));
  const rest = along([known, offset], rows).map((place, row) => values[rows.of[row]] - place);
  if (solved === null)
    return selected(
      rows,
      Uint8Array.from(rest, (left) => (left === 0 ? 1 : 0)),
    );
  const step = steps[solved];
  if (typeof step !== "number") return lookedUp(rows, solved, step, rest);
  const position = rest.map((left) => Math.floor(left / step));
  const within = Uint8Array.from(position, (place, row) =>
    place * step === rest[row] && place >= 0 && place < ranges[solved] ? 1 : 0,
  );
  return selected({ of: rows.of, names: { ...rows.names, [solved]: position } }, within);
}

/** @type {WeakMap<object, Map<number, number[]>>} */
const standing = new WeakMap(); // a table -> the values of its name at each place

/**
 * Every row, repeated for each value of a name whose table entry is the row's place.
 * @param {Rows} rows
 * @param {string} name
 * @param {ArrayLike<number>} table
 * @param {Int32Array} places
 * @returns {Rows}
 */
function lookedUp(rows, name, table, places) {
  const known = standing.get(table) ?? new Map();
  if (!standing.has(table)) {
    for (let value = 0; value < table.length; value++) {
      const there = known.get(table[value]);
      if (there) there.push(value);
      else known.set(table[value], [value]);
    }
    standing.set(table, known);
  }
  /** @type {number[]} */ const which = [];
  /** @type {number[]} */ const values = [];
  places.forEach((place, row) => {
    for (const value of known.get(place) ?? []) {
      which.push(row);
      values.push(value);
    }
  });
  const pick = (/** @type {Int32Array} */ column) => Int32Array.from(which, (row) => column[row]);
  return { of: pick(rows.of), names: { ...mapped(rows.names, pick), [name]: Int32Array.from(values) } };
}

/**
 * Every row, repeated for each value of another name.
 * @param {Rows} rows
 * @param {string} name
 * @param {number} size
 * @returns {Rows}
 */
function expanded(rows, name, size) {
  const count = rows.of.length * size;
  const repeat = (/** @type {Int32Array} */ column) => {
    const grown = new Int32Array(count);
    for (let row = 0; row < count; row++) grown[row] = column[Math.floor(row / size)];
    return grown;
  };
  const own = new Int32Array(count);
  for (let row = 0; row < count; row++) own[row] = row % size;
  return { of: repeat(rows.of), names: { ...mapped(rows.names, repeat), [name]: own } };
}

/**
 * @param {Rows} rows
 * @param {Uint8Array} keep
 * @returns {Rows}
 */
export function selected(rows, keep) {
  const pick = (/** @type {Int32Array} */ column) => column.filter((_, row) => keep[row]);
  return { of: pick(rows.of), names: mapped(rows.names, pick) };
}

/**
 * @param {Record<string, Int32Array>} columns
 * @param {(column: Int32Array) => Int32Array} change
 */
function mapped(columns, change) {
  return Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, change(column)]));
}

/**
 * @param {Axis} axis
 * @param {Rows} rows
 */
export function along([steps, offset], rows) {
  const position = new Int32Array(rows.of.length).fill(offset);
  for (const [name, step] of Object.entries(steps)) {
    const column = rows.names[name];
    for (let row = 0; row < position.length; row++) {
      position[row] += typeof step === "number" ? step * column[row] : step[column[row]];
    }
  }
  return position;
}

/**
 * Indices into an array of this shape, and whether each is inside it.
 * @param {Axis[]} axes
 * @param {Rows} rows
 * @param {number[]} shape
 * @returns {{indices: Indices, inside: Uint8Array}}
 */
export function places(axes, rows, shape) {
  const count = rows.of.length;
  const columns = axes.map((axis) => along(axis, rows));
  const indices = axes.length === shape.length ? { count, axes: columns } : unflat(columns[0], shape);
  const inside = new Uint8Array(count).fill(1);
  indices.axes.forEach((axis, number) => {
    for (let row = 0; row < count; row++) if (axis[row] < 0 || axis[row] >= shape[number]) inside[row] = 0;
  });
  return { indices, inside };
}

/**
 * Positions in C order.
 * @param {Indices} indices
 * @param {number[]} shape
 */
export function flat({ count, axes }, shape) {
  const positions = new Int32Array(count);
  shape.forEach((size, axis) => {
    for (let row = 0; row < count; row++) positions[row] = positions[row] * size + axes[axis][row];
  });
  return positions;
}

/**
 * @param {Int32Array} positions
 * @param {number[]} shape
 * @returns {Indices}
 */
export function unflat(positions, shape) {
  let rest = positions;
  const axes = shape.map(() => rest);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis];
    axes[axis] = rest.map((position) => position % size);
    rest = rest.map((position) => Math.floor(position / size));
  }
  return { count: positions.length, axes };
}
