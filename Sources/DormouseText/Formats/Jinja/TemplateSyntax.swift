internal import DormouseSupport

/// The tree of a parsed template. Names are numbers into `TemplateProgram.names`.
struct TemplateProgram: Sendable {
  var body: [TemplateNode]
  var names: [String]
  /// The first filter or test that it names and this subset lacks.
  var missing: Failure?
}

struct TemplateNode: Sendable {
  let statement: TemplateStatement
  let line: Int
}

indirect enum TemplateStatement: Sendable {
  case data(TemplateText)
  case output([TemplateExpression])
  case condition(branches: [TemplateBranch], otherwise: [TemplateNode])
  case loop(TemplateLoop)
  case set(TemplateTarget, TemplateExpression)
  /// The filter's innermost operand is `.captured`.
  case setBlock(TemplateTarget, filter: TemplateExpression?, body: [TemplateNode])
  case macro(TemplateMacro)
  case callBlock(TemplateMacro, call: TemplateExpression)
  case filterBlock(TemplateExpression, body: [TemplateNode])
  case with(targets: [TemplateTarget], values: [TemplateExpression], body: [TemplateNode])
  /// A body with names of its own: `{% generation %}`.
  case scope([TemplateNode])
  case breakLoop
  case continueLoop
}

struct TemplateBranch: Sendable {
  let test: TemplateExpression
  let body: [TemplateNode]
}

final class TemplateLoop: Sendable {
  let target: TemplateTarget
  let iterable: TemplateExpression
  let filter: TemplateExpression?
  let isRecursive: Bool
  let body: [TemplateNode]
  let otherwise: [TemplateNode]

  init(
    target: TemplateTarget, iterable: TemplateExpression, filter: TemplateExpression?, isRecursive: Bool,
    body: [TemplateNode], otherwise: [TemplateNode]
  ) {
    self.target = target
    self.iterable = iterable
    self.filter = filter
    self.isRecursive = isRecursive
    self.body = body
    self.otherwise = otherwise
  }
}

/// A macro, or the body of a call block.
final class TemplateMacro: Sendable {
  struct Parameter: Sendable {
    let name: Int
    let defaultValue: TemplateExpression?
  }

  /// The special names that a macro's body uses.
  struct Special: Sendable {
    var usesCaller = false
    var usesArguments = false
    var usesKeywords = false
  }

  let name: String
  let nameNumber: Int
  let parameters: [Parameter]
  let special: Special
  let body: [TemplateNode]

  init(name: String, nameNumber: Int, parameters: [Parameter], special: Special, body: [TemplateNode]) {
    self.name = name
    self.nameNumber = nameNumber
    self.parameters = parameters
    self.special = special
    self.body = body
  }
}

/// What a value can be assigned to.
indirect enum TemplateTarget: Sendable {
  case name(Int)
  case attribute(Int, TemplateText)
  case tuple([TemplateTarget])
}

final class TemplateExpression: Sendable {
  enum Kind: Sendable {
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case text(TemplateText)
    case name(Int)
    /// The text a filter or set block has captured.
    case captured
    case list([TemplateExpression])
    case tuple([TemplateExpression])
    case dictionary([(key: TemplateExpression, value: TemplateExpression)])
    case attribute(TemplateExpression, TemplateText)
    case item(TemplateExpression, TemplateExpression)
    case slice(TemplateExpression, TemplateSlice)
    case call(TemplateExpression, TemplateArguments)
    case filter(TemplateExpression, TemplateFilter, TemplateArguments)
    case test(TemplateExpression, TemplateTest, TemplateArguments)
    /// A filter or a test that this subset lacks; it fails, with this sentence, when it is come to.
    case missing(String)
    case not(TemplateExpression)
    case negative(TemplateExpression)
    case positive(TemplateExpression)
    case arithmetic(TemplateOperator, TemplateExpression, TemplateExpression)
    case and(TemplateExpression, TemplateExpression)
    case or(TemplateExpression, TemplateExpression)
    case concatenation([TemplateExpression])
    case comparison(TemplateExpression, [(operation: TemplateRelation, operand: TemplateExpression)])
    case conditional(test: TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?)
  }

  let kind: Kind
  let line: Int

  init(_ kind: Kind, line: Int) {
    self.kind = kind
    self.line = line
  }
}

struct TemplateSlice: Sendable {
  var start: TemplateExpression?
  var stop: TemplateExpression?
  var step: TemplateExpression?
}

struct TemplateArguments: Sendable {
  var positional: [TemplateExpression] = []
  var keywords: [(name: String, value: TemplateExpression)] = []
  var spread: TemplateExpression?
  var keywordSpread: TemplateExpression?
}

enum TemplateOperator: String, Sendable {
  case add = "+"
  case subtract = "-"
  case multiply = "*"
  case divide = "/"
  case floorDivide = "//"
  case remainder = "%"
  case power = "**"
}

enum TemplateRelation: String, Sendable {
  case equal = "=="
  case notEqual = "!="
  case less = "<"
  case lessOrEqual = "<="
  case greater = ">"
  case greaterOrEqual = ">="
  case contained = "in"
  case notContained = "not in"
}

/// The filters; the raw value is the name in a template.
enum TemplateFilter: String, Sendable, CaseIterable {
  case abs, attr, batch, capitalize, center, count, d, `default`, dictsort, e, escape, first, float, forceescape
  case format, groupby, indent, int, items, join, last, length, list, lower, map, max, min, reject, rejectattr
  case replace, reverse, round, safe, select, selectattr, slice, sort, string, sum, title, tojson, trim, truncate
  case unique, upper, urlencode, wordcount

  /// The filters of jinja2 that this subset lacks.
  private static let lacking: Set<String> = [
    "filesizeformat", "pprint", "random", "striptags", "urlize", "wordwrap", "xmlattr",
  ]

  /// What to say of a filter that is not here.
  static func sentence(lacking name: String) -> String {
    lacking.contains(name)
      ? "the filter '\(name)' is not supported in a chat template" : "no filter named '\(name)'"
  }
}

/// The tests; the raw value is the name in a template.
enum TemplateTest: String, Sendable, CaseIterable {
  case boolean, callable, defined, divisibleby, escaped, even, `false`, filter, float, `in`, integer, iterable, lower
  case mapping, none, number, odd, sameas, sequence, string, test, `true`, undefined, upper
  case eq, equalto, ne, lt, lessthan, le, gt, greaterthan, ge
  case equalSign = "=="
  case notEqualSign = "!="
  case lessSign = "<"
  case lessEqualSign = "<="
  case greaterSign = ">"
  case greaterEqualSign = ">="
}
