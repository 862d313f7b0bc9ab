import Testing

@testable import DormouseMedia

@Suite struct MediaFamilyTests {
  @Test func nothingElseAsksWhichFamilyItIs() throws {
    try FamilySources.expectNoQuestions(
      "DormouseMedia",
      VisionConfiguration.Architecture.allCases.map { "\($0)" }
        + WhisperTowerConfiguration.Architecture.allCases.map { "\($0)" })
  }
}
