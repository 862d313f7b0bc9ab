import DormouseSupport
import Testing

@testable import DormouseText

/// What a filter, method or look-up handles is what it costs: otherwise loops over long texts take hours within the limits
/// of work.
@Suite struct TemplateCostTests {
  @Test(arguments: [
    "t is upper", "t is filter", "t|int", "t|float", "t.isalpha()", "t|wordcount", "t|lower", "t|title",
    "' a'.strip(t)", "'a'.find(t)", "'a'.replace(t, 'b')", "'a'.partition(t)", "t in 'a'", "d[t]", "d.get(t)",
    "t in d", "{t: 1}", "[t]|unique|list", "r|join", "''.format(*r)", "dict(a=1, **d)[t]", "t|string == u", "t|reverse",
    "[t]|tojson", "[t]|string", "(d|tojson(sort_keys=true))", "strftime_now('%d')", "loop.index + (r|length)",
  ])
  func longTextsAreChargedInLoops(expression: String) {
    let source =
      "{% set t = 'A' * 50000 %}{% set u = 'A' * 50000 %}{% set r = range(50000) %}{% set d = {'A' * 50000: 1} %}"
      + "{% for i in range(100000) %}{% for j in range(100) %}{% set x = \(expression) %}{% endfor %}{% endfor %}"
    var limits = TemplateLimits()
    limits.work /= 64
    #expect {
      try ChatTemplate(source: source, file: "t", limits: limits).render(messages: [])
    } throws: { error in
      (error as? Failure)?.status == .malformed && "\(error)".contains("too much work")
    }
  }

  /// A million characters to upper case, many times: ten seconds before.
  @Test func casesAreChargedByTheCharacter() {
    let source =
      #"{% set ns=namespace(s="ß"*1000000) %}{% for i in range(99) %}{% set ns.s=ns.s|upper %}{% endfor %}"#
    var limits = TemplateLimits()
    limits.work /= 2
    #expect {
      try ChatTemplate(source: source, file: "t", limits: limits).render(messages: [])
    } throws: { error in
      (error as? Failure)?.status == .malformed && "\(error)".contains("too much work")
    }
  }

  @Test(arguments: [
    "{% for i in range(100000) %}{% set x = 'a' * 1000 %}{% endfor %}",
    "{% for i in range(1000) %}{{ 'ab'|upper }}{% endfor %}",
    "{% for i in range(100) %}{% set t = ('A' * 10000) is upper %}{% endfor %}",
  ])
  func renderingStopsWhenNobodyWantsIt(source: String) throws {
    let asked = Locked(0)
    let interruption = Interruption {
      asked.withLock { $0 += 1 }
      return asked.withLock { $0 } > 3 ? Failure(.timedOut, "late") : nil
    }
    let template = try ChatTemplate(source: source, file: "t")
    #expect(throws: Failure(.timedOut, "late")) {
      try template.render(messages: [], interruption: interruption)
    }
    #expect(asked.withLock { $0 } == 4)
  }

  /// Long contents are printed as they are, whatever is around them and in them.
  @Test func longContentsKeepTheirOrigin() throws {
    let content = String(repeating: "né<t>", count: 1000)
    let runs = try TemplateFixtures.render(
      "<a>{{ messages[0].content }}{% set x %}[{{ messages[0].content }}]{% endset %}{{ x }}<b>",
      messages: [["role": "user", "content": .string(content)]])
    #expect(
      runs == [
        .markup("<a>"), .content(content), .markup("["), .content(content), .markup("]<b>"),
      ])
  }
}
