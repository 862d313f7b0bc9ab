import DormouseModel
import Testing

@Suite struct FamilyTests {
  @Test func nothingElseAsksWhichFamilyItIs() throws {
    try FamilySources.expectNoQuestions(
      "DormouseModel",
      ModelConfiguration.Architecture.allCases.map { "\($0)" } + ModelConfiguration.Composite.allCases.map { "\($0)" })
  }
}
