/**
 * Formulas as data: the arithmetic of one term. A number, a name, or [head, argument, ...], as
 * glassbox/arithmetic/expression.py writes them. Evaluated over columns, one number for each term, in float64.
 */

/** @typedef {number | string | [string, ...any[]]} Expression */
/** @typedef {(name: string) => Float64Array} Columns */

const INFIX = /** @type {Record<string, number>} */ ({ "+": 1, "-": 1, "*": 2, "/": 2, ">": 0, ">=": 0, "==": 0 });
const COMPARISONS = new Set([">", ">=", "=="]);
// loss of float32 if a product underflows (up to 2^-149), in units of its rounding (2^-24)
const UNDERFLOW = 2 ** -125;
// the same for an exponential: PyTorch's vectorised kernels return 0 below float32's smallest normal number, 2^-126
const UNDERFLOW_OF_EXP = 2 ** -102;
const ROUNDING = 2 ** -24;

/** @type {Record<string, (a: number, b: number, c: number) => number>} */
const APPLY = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  ">": (a, b) => (a > b ? 1 : 0),
  ">=": (a, b) => (a >= b ? 1 : 0),
  "==": (a, b) => (a === b ? 1 : 0),
  where: (condition, a, b) => (condition !== 0 ? a : b),
  max: (a, b) => Math.max(a, b),
  min: (a, b) => Math.min(a, b),
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sqrt: Math.sqrt,
  sin: Math.sin,
  cos: Math.cos,
  asin: Math.asin,
  atan: Math.atan,
  floor: Math.floor,
  round: nearest,
  tanh: Math.tanh,
  erf,
  power: Math.pow,
};

/** @type {Record<string, (a: number, exponent: number) => number>} */
const SLOPE = {
  exp: Math.exp,
  expm1: Math.exp,
  log: (a) => 1 / a,
  log1p: (a) => 1 / (a + 1),
  sin: Math.cos,
  cos: (a) => -Math.sin(a),
  asin: (a) => 1 / Math.sqrt(1 - a * a),
  atan: (a) => 1 / (a * a + 1),
  floor: () => 0,
  round: () => 0,
  tanh: (a) => 1 - Math.tanh(a) ** 2,
  erf: (a) => (Math.exp(-a * a) * 2) / Math.sqrt(Math.PI),
  power: (a, exponent) => exponent * a ** (exponent - 1),
};

/**
 * 2/sqrt(pi) times the integral of exp(-t^2) from 0 to a, by a series whose terms all have one sign, so nothing cancels
 * (Abramowitz & Stegun 1964, eq. 7.1.6).
 * @param {number} a
 */
export function erf(a) {
  if (Number.isNaN(a)) return a;
  if (Math.abs(a) > 6) return Math.sign(a);
  let term = a;
  let sum = a;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * a * a) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum;
}

/**
 * The nearest whole number, ties to even.
 * @param {number} a
 */
function nearest(a) {
  const below = Math.floor(a);
  if (a - below === 0.5) return below % 2 === 0 ? below : below + 1;
  return a - below < 0.5 ? below : below + 1;
}

/**
 * Every name in it, in reading order, without repetition.
 * @param {Expression} node
 * @returns {string[]}
 */
export function names(node) {
  if (typeof node === "string") return [node];
  if (typeof node === "number") return [];
  return [...new Set(node.slice(1).flatMap(names))];
}

/**
 * Whether there is a comparison in it.
 * @param {Expression} node
 * @returns {boolean}
 */
export function compares(node) {
  return Array.isArray(node) && (COMPARISONS.has(node[0]) || node.slice(1).some(compares));
}

/**
 * a * b, without factors of one.
 * @param {Expression} a
 * @param {Expression} b
 * @returns {Expression}
 */
export function times(a, b) {
  if (a === 0 || b === 0) return 0;
  if (a === 1) return b;
  return b === 1 ? a : ["*", a, b];
}

/**
 * The factors of a formula that only multiplies; null for any other.
 * @param {Expression} node
 * @returns {(string | number)[] | null}
 */
export function factors(node) {
  if (typeof node !== "object") return [node];
  if (node[0] !== "*") return null;
  const [left, right] = [factors(node[1]), factors(node[2])];
  return left && right && [...left, ...right];
}

/**
 * The other factors of a product: "weight" for input * weight and "input".
 * @param {Expression} node
 * @param {string} name
 * @returns {Expression | null} null if `name` is not a factor, or stands in the others too
 */
export function cofactor(node, name) {
  if (node === name) return 1;
  if (!Array.isArray(node) || (node[0] !== "*" && node[0] !== "/")) return null;
  const [head, first, second] = node;
  const own = cofactor(first, name);
  if (own !== null) {
    if (names(second).includes(name)) return null;
    return head === "*" ? times(own, second) : ["/", own, second];
  }
  const other = head === "*" && !names(first).includes(name) ? cofactor(second, name) : null;
  return other === null ? null : times(first, other);
}

/**
 * One number for each of `count` terms.
 * @param {Expression} node
 * @param {Columns} columns
 * @param {number} count
 * @returns {Float64Array}
 */
export function evaluate(node, columns, count) {
  if (typeof node === "string") return columns(node);
  const result = new Float64Array(count);
  if (typeof node === "number") return result.fill(node);
  if (node[0] === "infinity") return result.fill(Infinity); // JSON has no such number
  const apply = APPLY[node[0]];
  const a = evaluate(node[1], columns, count);
  const b = node.length > 2 ? evaluate(node[2], columns, count) : a;
  const c = node.length > 3 ? evaluate(node[3], columns, count) : b;
  for (let row = 0; row < count; row++) result[row] = apply(a[row], b[row], c[row]);
  return result;
}

/**
 * The scale of rounding errors: the formula's size if nothing in it cancelled (Higham 2002, "Accuracy and Stability of
 * Numerical Algorithms", sections 3.1 and 3.5). `magnitudes` are those of the names.
 * @param {Expression} node
 * @param {Columns} columns
 * @param {Columns} magnitudes
 * @param {number} count
 * @returns {Float64Array}
 */
export function magnitude(node, columns, magnitudes, count) {
  if (typeof node === "string") return magnitudes(node);
  if (typeof node === "number") return new Float64Array(count).fill(Math.abs(node));
  const head = node[0];
  if (head === "infinity") return new Float64Array(count); // it is exact
  if (COMPARISONS.has(head)) return evaluate(node, columns, count);
  const a = evaluate(node[1], columns, count);
  const b = node.length > 2 ? evaluate(node[2], columns, count) : a;
  const sizeA = magnitude(node[1], columns, magnitudes, count);
  const sizeB = node.length > 2 ? magnitude(node[2], columns, magnitudes, count) : sizeA;
  if (head === "where") {
    const sizeC = magnitude(node[3], columns, magnitudes, count);
    return a.map((condition, row) => (condition !== 0 ? sizeB[row] : sizeC[row]));
  }
  return sizeA.map((size, row) => magnitudeOf(head, a[row], b[row], size, sizeB[row]));
}

/**
 * @param {string} head
 * @param {number} a
 * @param {number} b
 * @param {number} sizeA
 * @param {number} sizeB
 */
function magnitudeOf(head, a, b, sizeA, sizeB) {
  switch (head) {
    case "+":
    case "-":
    case "max":
    case "min":
      return sizeA + sizeB;
    case "*":
      return sizeA * sizeB + UNDERFLOW;
    case "/":
      // beside infinity the other's rounding does not matter
      return (Math.abs(b) === Infinity ? 0 : sizeA / Math.abs(b) + (Math.abs(a) * sizeB) / (b * b)) + UNDERFLOW;
    case "sqrt":
      return magnitudeOfRoot(a, sizeA, 0.5);
    case "erf": // PyTorch's GELU approximates it, and the error does not shrink with the value
      return 1 + Math.abs(SLOPE.erf(a, 0)) * sizeA;
  }
  if (head === "power" && b > 0 && b < 1) return magnitudeOfRoot(a, sizeA, b);
  const slope = Math.abs(SLOPE[head](a, b));
  const lost = head === "exp" || head === "expm1" ? UNDERFLOW_OF_EXP : UNDERFLOW;
  return Math.abs(APPLY[head](a, b, b)) + (slope === 0 ? 0 : slope * sizeA) + lost; // 0 * infinity is 0 here
}

/**
 * The magnitude of a^exponent, for an exponent below 1: the slope at 0 has no bound, but the root of a rounding error
 * has.
 * @param {number} a
 * @param {number} size
 * @param {number} exponent
 */
function magnitudeOfRoot(a, size, exponent) {
  const bySlope = size === 0 ? 0 : exponent * Math.abs(a) ** (exponent - 1) * size;
  const root = size ** exponent;
  return Math.max(root, Math.min(bySlope, root * ROUNDING ** (exponent - 1)));
}

/**
 * As text. `value` replaces a name (by a longer name, or a number), `number` writes a constant.
 * @param {Expression} node
 * @param {(name: string) => string} value
 * @param {(constant: number) => string} [number]
 * @param {number} [around] how tightly the formula around it binds
 * @returns {string}
 */
export function written(node, value, number = constant, around = 0) {
  if (typeof node === "string") return value(node);
  if (typeof node === "number") return number(node);
  const [head, first, second] = node;
  if (head === "infinity") return "inf";
  if (head === "power") {
    const base = written(first, value, number, 3);
    const bare = !base.startsWith("-") && first[0] !== "power";
    return `${bare ? base : `(${base})`}^${number(second)}`;
  }
  if (head === "*" && first === -1) {
    const negated = written(second, value, number, 3);
    return negated.startsWith("-") ? `-(${negated})` : `-${negated}`;
  }
  if (!(head in INFIX)) {
    return `${head}(${node
      .slice(1)
      .map((each) => written(each, value, number))
      .join(", ")})`;
  }
  const binds = INFIX[head];
  const left = written(first, value, number, binds);
  const right = written(second, value, number, binds + (head === "-" || head === "/" ? 1 : 0));
  const text = `${left} ${head} ${right}`;
  return binds < around || COMPARISONS.has(head) ? `(${text})` : text;
}

/** @param {number} value */
function constant(value) {
  return String(Number(value.toPrecision(9)));
}
