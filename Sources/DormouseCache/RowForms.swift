/// How a row was computed, as far as its bits depend on it, beside what stands before it: which of its equal forms of
/// attention each kind of the model's layers took. The cache compares forms and knows no more of them.
public struct RowForm: Hashable, Sendable {
  public let bits: UInt64

  public init(bits: UInt64) { self.bits = bits }

  /// Of rows that nobody can tell about, such as those of a saved session that does not say.
  public static let unknown = RowForm(bits: .max)
}

/// The forms of a timeline's rows from its beginning on, as runs of equal ones.
struct RowForms: Sendable, Equatable {
  struct Run: Sendable, Equatable {
    /// The position behind the run.
    var end: Int
    var form: RowForm
  }

  private(set) var runs: ContiguousArray<Run> = []

  /// Rows whose form is told.
  var count: Int { runs.last?.end ?? 0 }

  var hasUnknown: Bool { runs.contains { $0.form == .unknown } }

  mutating func append(_ form: RowForm, count more: Int) {
    guard more > 0 else { return }
    let end = count + more
    if runs.last?.form == form { runs[runs.count - 1].end = end } else { runs.append(Run(end: end, form: form)) }
  }

  mutating func append(contentsOf forms: some Sequence<RowForm>) { for form in forms { append(form, count: 1) } }

  /// Forgets all from position `length` on.
  mutating func truncate(to length: Int) {
    while let last = runs.last, last.end > length {
      let start = runs.count > 1 ? runs[runs.count - 2].end : 0
      guard start >= length else { return runs[runs.count - 1].end = length }
      runs.removeLast()
    }
  }

  /// The forms of the `count` rows from `start` on; fewer where fewer are told.
  func forms(from start: Int, count: Int) -> [RowForm] {
    var forms: [RowForm] = []
    forms.reserveCapacity(count)
    forEach(from: start) { form, more in
      forms.append(contentsOf: repeatElement(form, count: min(more, count - forms.count)))
      return forms.count < count
    }
    return forms
  }

  /// How many of `others` are the forms from row `start` on. Allocates nothing.
  func commonCount(with others: [RowForm], from start: Int) -> Int {
    var common = 0
    forEach(from: start) { form, more in
      let end = min(common + more, others.count)
      while common < end, others[common] == form { common += 1 }
      return common == end && common < others.count
    }
    return common
  }

  /// The runs from row `start` on, until `body` has enough.
  private func forEach(from start: Int, _ body: (_ form: RowForm, _ count: Int) -> Bool) {
    var position = start
    for run in runs where run.end > position {
      guard body(run.form, run.end - position) else { return }
      position = run.end
    }
  }
}
