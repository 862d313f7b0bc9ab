import DormouseSupport
import Testing

@testable import DormouseText

/// Sizes at the end of the integers: refused like any other that is too large, never computed with.
@Suite struct TemplateSizeTests {
  @Test(arguments: [
    "{{ [1] * 9223372036854775807 }}", "{{ (1, 2) * 9223372036854775807 }}",
    "{{ [1]|batch(9223372036854775807, 0)|list }}", "{{ [1]|slice(9223372036854775807)|list }}",
    "{{ 'a' * 9223372036854775807 }}", "{{ 'a'|indent(9223372036854775807) }}",
    "{{ 'a'.center(9223372036854775807) }}", "{{ 'a'|center(9223372036854775807) }}",
    "{{ [1]|tojson(indent=9223372036854775807) }}", "{{ 'a\\tb'.expandtabs(9223372036854775807) }}",
    "{{ ('a' * 1000).translate({97: 'b' * 100000}).translate({98: 'c' * 100000}) }}",
  ])
  func hugeCountsAreRefused(source: String) {
    #expect { try TemplateFixtures.render(source) } throws: { error in
      (error as? Failure)?.status == .malformed
    }
  }

  /// Values share parts: sixty doublings are a few objects, and a walk over all of 2^60 leaves would never end.
  @Test(arguments: [
    "{{ ns.x == ns.x }}", "{{ ns.x < ns.x }}", "{{ ns.x in [ns.x] }}", "{{ [ns.x, ns.x]|sort }}",
    "{{ {ns.t: 1} }}", "{{ [ns.t]|unique|list }}",
  ])
  func sharedPartsAreCountedAsOftenAsTheyStand(expression: String) {
    let doubling =
      "{% set ns = namespace(x=[1], t=(1,)) %}{% for i in range(60) %}"
      + "{% set ns.x = [ns.x, ns.x] %}{% set ns.t = (ns.t, ns.t) %}{% endfor %}"
    #expect { try TemplateFixtures.render(doubling + expression) } throws: { error in
      (error as? Failure)?.status == .malformed
    }
  }
}
