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
      #expect(runs.forms(from: 0, count: forms.count) == forms && runs.count == forms.count)
      let start = Int.random(in: 0...forms.count, using: &random)
      let others = (0..<6).map { index in
        let place = start + index
        return place < forms.count && index < 3 ? forms[place] : RowForm(bits: .random(in: 0...2, using: &random))
      }
      let common = zip(others, forms[start...]).prefix { $0 == $1 }.count
      #expect(runs.commonCount(with: others, from: start) == common)
      #expect(zip(runs.runs, runs.runs.dropFirst()).allSatisfy { $0.form != $1.form && $0.end < $1.end })
    }
  }
}
