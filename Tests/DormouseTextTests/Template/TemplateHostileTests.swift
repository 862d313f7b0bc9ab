import DormouseSupport
import Testing

@testable import DormouseText

/// Templates that are broken or mean harm: each is refused with the status and the words of `expected.json`.
@Suite struct TemplateHostileTests {
  @Test func everyBadTemplateIsRefused() throws {
    // A sixteenth of the usual work, so that the slowest ones end soon in a debug build too.
    var limits = TemplateLimits()
    limits.work /= 16
    limits.textLength /= 16
    let expected = try #require(try TemplateFixtures.json("expected.json").objectValue)
    #expect(expected.count > 60)
    for (name, outcome) in expected {
      let source = try TemplateFixtures.text(name)
      do {
        let runs = try ChatTemplate(source: source, file: name, limits: limits).render(
          messages: [["role": "user", "content": "x"]], variables: JSONObject(), markupVariables: JSONObject())
        Issue.record("\(name) renders \(runs.joined.prefix(80))")
      } catch {
        #expect("\(error.status)" == outcome["status"]?.stringValue, "\(name): \(error.message)")
        #expect(error.message.contains(outcome["message"]?.stringValue ?? "?"), "\(name): \(error.message)")
        if !error.message.hasPrefix("chat template: ") { #expect(error.message.hasPrefix("\(name): line ")) }
      }
    }
  }

  @Test func refusesALongSource() {
    let source = String(repeating: "x", count: 2 << 20)
    #expect { try ChatTemplate(source: source, file: "long.jinja") } throws: { error in
      (error as? Failure)?.status == .malformed && "\(error)".contains("long.jinja: the template has 2097152 bytes")
    }
  }

  @Test func refusesDeepMessages() {
    var value: JSON = "x"
    for _ in 0..<150 { value = .array([value]) }
    #expect { try TemplateFixtures.render("{{ messages }}", messages: value) } throws: { error in
      (error as? Failure)?.status == .invalidArgument && "\(error)".contains("'messages': the input is nested")
    }
  }

  @Test func raisedSentencesStandForThemselves() {
    #expect(throws: Failure(.invalidArgument, "chat template: roles must alternate")) {
      try TemplateFixtures.render("{{ raise_exception('roles must ' ~ 'alternate') }}")
    }
  }

  @Test func namespacesAndLoopsDoNotKeepEachOtherAlive() throws {
    let source = """
      {% set ns = namespace(x=0) %}{% set ns.me = ns %}\
      {% for i in range(5000) %}{% set ns.x = namespace(below=ns.x, loop=loop) %}{% endfor %}\
      {% macro m() %}{{ ns.x.loop.index }}{% endmacro %}{% set ns.m = m %}{{ ns.m() }}
      """
    #expect(try TemplateFixtures.render(source).joined == "5000")
  }
}
