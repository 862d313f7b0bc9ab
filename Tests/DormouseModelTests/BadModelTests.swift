import DormouseKernels
import DormouseModel
import DormouseSupport
import Testing

/// Every broken folder of `Fixtures/models` gives the status and the words of its entry in `expected.json`.
@Suite struct BadModelTests {
  struct Expectation: CustomTestStringConvertible {
    let name: String
    let stage: String
    let statuses: [String]
    let mentions: [String]
    var testDescription: String { name }
  }

  static let expectations: [Expectation] = {
    guard let document = try? File.readJSON(Fixtures.path("models/expected.json")) else { return [] }
    return (document["cases"]?.arrayValue ?? []).map { entry in
      func strings(_ key: String) -> [String] { (entry[key]?.arrayValue ?? []).compactMap(\.stringValue) }
      return Expectation(
        name: entry["name"]?.stringValue ?? "", stage: entry["stage"]?.stringValue ?? "",
        statuses: [entry["status"]?.stringValue ?? ""] + strings("also"), mentions: strings("mentions"))
    }
  }()

  @Test func listIsThere() { #expect(Self.expectations.count >= 40) }

  @Test(arguments: expectations)
  func failsAsItShould(_ expected: Expectation) throws {
    do throws(Failure) {
      let model = try Model.open(
        folder: Fixtures.path("models/\(expected.name)"), pool: ThreadPool(threadCount: 1),
        kernels: Kernels.selected())
      #expect(expected.stage == "run", "\(expected.name) opens")
      let timeline = try Timeline(model: model, options: DecoderOptions(contextLength: 16))
      try timeline.forward([1, 2, 3], logits: .last)
      Issue.record("\(expected.name) runs")
    } catch {
      #expect(expected.statuses.contains("\(error.status)"), "\(expected.name): \(error.status): \(error.message)")
      for mention in expected.mentions {
        #expect(error.message.contains(mention), "\(expected.name): \(error.message)")
      }
    }
  }
}
