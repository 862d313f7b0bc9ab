import DormouseSupport

/// How much work and memory a constraint takes, and whether its caller still waits for it.
///
/// Schemas and grammars come from anybody. Whatever loops over what one brings counts its steps here, and ends soon once
/// `isStopped`; what it has found since may be wrong, so that whoever began it asks `check` before the result is used.
/// Thread: one at a time.
final class Effort {
  struct Limits: Sendable {
    /// Expressions, derivatives among them.
    var nodes = 1 << 20
    /// States, a kilobyte each.
    var states = 1 << 16
    /// Calls within one another, of which a stack has to have room for as many.
    var depth = 400
    /// Derivatives, and members of unions and intersections among them: some hundreds of nanoseconds each.
    var derivatives = 1 << 22
    /// Steps of one call, of some ten nanoseconds each.
    var steps = 1 << 28
    /// What a text so far may come to in the grammar: terminals and rules that are waited for, 12 bytes each.
    var items = 1 << 24
  }

  /// What a constraint may have only so much of.
  enum Resource: String {
    case states = "states"
    case work = "work"
    case items = "memory for a text"
  }

  let limits: Limits
  private let interruption: Interruption
  /// Why nothing goes on, once that is so.
  private(set) var failure: Failure?
  private(set) var isStopped = false
  private var derivatives = 0
  /// Of the call under way.
  private var steps = 0
  private var nextLook = Effort.slice

  /// Steps between two looks at the interruption: a tenth of a millisecond or less.
  private static let slice = 1 << 12
  /// Steps that a derivative counts as.
  private static let stepsOfDerivative = 16

  init(_ limits: Limits = Limits(), _ interruption: Interruption = .never) {
    self.limits = limits
    self.interruption = interruption
  }

  /// A call begins, whose steps are counted anew.
  func begin() {
    steps = 0
    nextLook = Effort.slice
    look()
  }

  /// Counts steps, and looks now and then whether there may be more.
  func spend(_ count: Int) {
    steps += count
    if steps >= nextLook { look() }
  }

  func spendDerivatives(_ count: Int) {
    derivatives += count
    if derivatives > limits.derivatives { stop(.states) }
    spend(count * Effort.stepsOfDerivative)
  }

  private func look() {
    nextLook = steps + Effort.slice
    if steps > limits.steps { stop(.work) }
    if let failure = interruption.failure { stop(failure) }
  }

  func stop(_ resource: Resource) {
    stop(Failure(.unsupported, "the constraint takes more \(resource.rawValue) than one may have"))
  }

  private func stop(_ failure: Failure) {
    guard !isStopped else { return }
    isStopped = true
    self.failure = failure
  }

  /// - Throws: why nothing goes on.
  func check() throws(Failure) {
    if let failure { throw failure }
  }
}
