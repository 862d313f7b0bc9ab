internal import DormouseSupport

/// What one template may cost. A template is a file of somebody else's: it must neither hang nor fill the memory.
struct TemplateLimits: Sendable {
  /// Bytes of the template's source.
  var sourceBytes = 1 << 20
  /// Nesting of blocks and expressions in the source.
  var parserDepth = 120
  /// Nesting of blocks, expressions and macro calls while it runs.
  var evaluationDepth = 400
  /// Macro calls inside macro calls.
  var callDepth = 60
  /// Lists inside lists.
  var valueDepth = 100
  /// Characters of one text, the prompt included; the input's own size comes on top, four times.
  var textLength = 16 << 20
  /// Characters copied, elements copied and steps taken, in units of one character; 256 units a character of the
  /// input come on top.
  var work = 128 << 20
  /// Items of `range()`, as in the sandbox of the reference.
  var rangeCount = 100_000
}

/// Counts what a running template costs, and asks meanwhile whether the prompt is still wanted.
///
/// A unit is what copying a character takes, 1 to 3 nanoseconds. Whatever takes longer is charged for it, so that the
/// units bound the time too.
final class TemplateBudget {
  static let step = 64
  static let element = 16
  /// For a character whose case changes.
  static let mapped = 32
  /// For a character whose Unicode properties are looked at, that is hashed, or that a number is read from.
  static let examined = 8
  /// For a character of a text that is looked for.
  static let wanted = 4

  /// Units between two looks at the interruption, and how many a charge counts for at least.
  private static let lookInterval = 1 << 15
  private static let leastCharge = 1 << 10

  let limits: TemplateLimits
  private let textLength: Int
  private let interruption: Interruption
  private let work: Int
  private var remaining: Int
  private var untilLook = 0

  /// - Parameters:
  ///   - inputLength: characters of all the strings handed in.
  ///   - interruption: asked every few thousand units.
  init(limits: TemplateLimits, inputLength: Int, interruption: Interruption = .never) {
    let bounded = min(inputLength, 1 << 40)
    self.limits = limits
    self.interruption = interruption
    textLength = limits.textLength + 4 * bounded
    work = limits.work + 256 * bounded
    remaining = work
  }

  /// Takes `units` off what is left.
  func spend(_ units: Int) throws(Failure) {
    guard units >= 0, units <= remaining else {
      throw Failure(.malformed, "the template does too much work: more than \(work) units")
    }
    remaining -= units
    untilLook -= max(units, TemplateBudget.leastCharge)
    guard untilLook < 0 else { return }
    untilLook = TemplateBudget.lookInterval
    try interruption.check()
  }

  /// Takes the cost of looking `key` up off.
  func spendKey(_ key: TemplateValue) throws(Failure) {
    try spend(TemplateBudget.element + TemplateBudget.examined * (key.textValue?.count ?? 0))
  }

  /// Refuses a text of `count` characters that is longer than any text may be.
  func checkLength(_ count: Int) throws(Failure) {
    guard count <= textLength else {
      throw Failure(.malformed, "the template makes a text of more than \(textLength) characters")
    }
  }

  /// Takes the cost of a text of `count` characters off, before it is made.
  func spendText(_ count: Int) throws(Failure) {
    try checkLength(count)
    try spend(count)
  }

  /// The cost of `count` copies of `size` units each.
  func spendProduct(_ count: Int, _ size: Int, isText: Bool) throws(Failure) {
    let (product, overflow) = count.multipliedReportingOverflow(by: size)
    let total = overflow ? Int.max : max(product, 0)
    if isText {
      try spendText(total)
    } else {
      try spend(min(total, Int.max / TemplateBudget.element) * TemplateBudget.element)
    }
  }
}
