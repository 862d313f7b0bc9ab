import Testing

@testable import DormouseCache

@Suite struct RowFormsTests {
  /// Runs against a plain array of forms, over random changes.
  @Test func runsAreThoseOfAnArray() {
    var random = SystemRandomNumberGenerator()
    var runs = RowForms()
    var forms: [RowForm] = []
    for _ in 0..<2000 {
      if Bool.random(using: &random) {
        let form = RowForm(bits: .random(in: 0...2, using: &random))
        let count = Int.random(in: 0...5, using: &random)
        runs.append(form, count: count)
        forms += Array(repeating: form, count: count)
      } else {
        let length = Int.random(in: max(0, forms.count - 4)...forms.count + 1, using: &random)
        runs.truncate(to: length)
        forms = Array(forms.prefix(length))
      }
      #expect(runs.all == forms && runs.count == forms.count)
      #expect(zip(runs.runs, runs.runs.dropFirst()).allSatisfy { $0.form != $1.form && $0.end < $1.end })
    }
  }
}
