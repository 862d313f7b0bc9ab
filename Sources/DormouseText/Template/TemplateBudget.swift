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
  /// Characters copied, elements copied and steps taken, in units of one character; 64 units a character of the
  /// input come on top.
  var work = 128 << 20
  /// Items of `range()`, as in the sandbox of the reference.
  var rangeCount = 100_000
}

/// Counts what a running template costs.
final class TemplateBudget {
  static let step = 64
  static let element = 16

  let limits: TemplateLimits
  private let textLength: Int
  private var remaining: Int

  /// - Parameter inputLength: characters of all the strings handed in.
  init(limits: TemplateLimits, inputLength: Int) {
    let bounded = min(inputLength, 1 << 40)
    self.limits = limits
    textLength = limits.textLength + 4 * bounded
    remaining = limits.work + 64 * bounded
  }

  /// Takes `units` off what is left.
  func spend(_ units: Int) throws(Failure) {
    guard units >= 0, units <= remaining else {
      throw Failure(.malformed, "the template does too much work: more than \(limits.work) units")
    }
    remaining -= units
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
