/** One picture's run through a network, as the document describes it: the places and the origins of its numbers. */

/** @typedef {import("./host.js").Host} Host */
/** @typedef {import("./arithmetic/declaration.js").Op} Op */
/**
 * @typedef {object} Node
 * @property {string} name
 * @property {string} kind
 * @property {number[]} shape in the user's notation, without the batch axis
 * @property {boolean} batched
 * @property {Record<string, string>} reads the op's array -> a node, parameter or buffer
 * @property {number | null} op
 * @property {boolean} written
 * @property {string} hooked the hook that every gradient through this node passes; "" for none
 * @property {string} size_formula
 * @property {string} parameters_formula
 * @property {number[]} range minimum, mean, maximum
 * @property {number | null} gradient_largest
 * @property {string} source
 */
/**
 * @typedef {object} Update
 * @property {number | null} op
 * @property {string} gradient the array that the step used: a hook of the optimizer may have changed it
 * @property {string} hooked the hook that changed the weight besides the optimizer's arithmetic; "" for none
 * @property {string} unwritten why there is no op; "" if there is one
 * @property {Record<string, string>} remembered
 * @property {Record<string, any>} settings
 */
/**
 * @typedef {object} Trace
 * @property {any} about the document
 * @property {Node[]} nodes
 * @property {(name: string) => Node | undefined} node
 * @property {(name: string) => boolean} known
 * @property {(name: string) => boolean} parameter
 * @property {(name: string) => number[]} shape in the user's notation
 * @property {(name: string) => boolean} batched
 * @property {(name: string, index: number[]) => number[]} whole a user's index -> an index of the array
 * @property {(name: string, index: ArrayLike<number>) => number[]} short and back
 * @property {(name: string) => Op | null} op that made a node
 * @property {(name: string) => Update | undefined} update
 * @property {(number: number) => Op} opNumber
 * @property {(name: string) => {node: Node, local: string}[]} users
 * @property {(name: string) => string} hook the one that changes an array's gradient after accumulation; "" for none
 * @property {(name: string) => string} noGradient why an array has no gradient
 * @property {(role: "input" | "picture" | "probability" | "loss") => string} role -> the array's name
 * @property {(name: string) => boolean} has an array
 * @property {(name: string) => string} dtype
 * @property {(name: string) => [number, number] | undefined} precision of a node that the run rounds in its own way:
 *     the relative and the least absolute error
 * @property {Host["array"]} array
 * @property {Host["channel"]} channel
 * @property {Host["choices"]} choices the models to compare this run with
 * @property {Host["lives"]} lives of the weights, in a file that has them
 * @property {(id: string) => Promise<Trace>} beside the same picture in such a model
 */

/**
 * @param {any} document
 * @param {Host} host
 * @returns {Trace}
 */
export function createTrace(document, host) {
  const nodes = /** @type {Node[]} */ (document.nodes);
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const stored = new Map([...document.parameters, ...document.buffers].map((each) => [each.name, each.shape]));
  const parameters = new Set(document.parameters.map((/** @type {any} */ each) => each.name));
  const batched = (/** @type {string} */ name) => byName.get(name)?.batched ?? false;
  /** @type {(name: string) => string} */
  const dtype = (name) => {
    const described = own(document.arrays, name) ?? {};
    return described.same_as ? dtype(described.same_as) : (described.dtype ?? "float32");
  };
  return {
    about: document,
    nodes,
    node: (name) => byName.get(name),
    known: (name) => byName.has(name) || stored.has(name),
    parameter: (name) => parameters.has(name),
    shape: (name) => byName.get(name)?.shape ?? stored.get(name) ?? [],
    batched,
    whole: (name, index) => (batched(name) ? [0, ...index] : index),
    short: (name, index) => Array.from(index).slice(batched(name) ? 1 : 0),
    op: (name) => {
      const number = byName.get(name)?.op ?? null;
      return number === null ? null : document.ops[number];
    },
    opNumber: (number) => document.ops[number],
    update: (name) => own(document.updates, name),
    users: (name) =>
      nodes.flatMap((node) =>
        Object.entries(node.reads)
          .filter(([, source]) => source === name)
          .map(([local]) => ({ node, local })),
      ),
    hook: (name) => own(document.hooked, name) ?? "",
    noGradient: (name) =>
      own(document.no_gradient, name) ?? `${name} is not a parameter of the module, so its gradient is not recorded.`,
    role: (role) => document.roles[role],
    has: (name) => Object.hasOwn(document.arrays, name),
    dtype,
    precision: (name) => own(document.precision ?? {}, name),
    array: host.array,
    channel: host.channel,
    choices: host.choices,
    lives: host.served && !document.lives ? null : host.lives,
    beside: async (id) => {
      const other = host.beside(id);
      return createTrace(await other.document(), other);
    },
  };
}

/**
 * An entry of a table, whose names a user has chosen: every object has a "constructor" that is none of its entries.
 * @param {Record<string, any>} table
 * @param {string} name
 */
function own(table, name) {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/**
 * The position of an index in an array of this shape, in C order.
 * @param {ArrayLike<number>} index
 * @param {number[]} shape
 */
export function position(index, shape) {
  return shape.reduce((sum, size, axis) => sum * size + index[axis], 0);
}

/**
 * The index of a position.
 * @param {number} at
 * @param {number[]} shape
 */
export function indexOf(at, shape) {
  const index = shape.map(() => 0);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = at % shape[axis];
    at = Math.floor(at / shape[axis]);
  }
  return index;
}
