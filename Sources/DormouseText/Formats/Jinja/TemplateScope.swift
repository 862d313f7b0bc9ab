internal import DormouseSupport

/// The names of one block; whatever it lacks is looked up outwards.
final class TemplateScope {
  let parent: TemplateScope?
  private var names: [Int] = []
  private var values: [TemplateValue] = []

  init(parent: TemplateScope?) { self.parent = parent }

  /// - Parameter cost: grows by what looking costs, in the budget's units.
  func value(_ name: Int, cost: inout Int) -> TemplateValue? {
    var scope: TemplateScope? = self
    while let current = scope {
      cost += TemplateBudget.wanted + current.names.count / 4
      if let index = current.names.firstIndex(of: name) { return current.values[index] }
      scope = current.parent
    }
    return nil
  }

  func set(_ name: Int, _ value: TemplateValue) {
    if let index = names.firstIndex(of: name) {
      values[index] = value
    } else {
      names.append(name)
      values.append(value)
    }
  }
}

/// What can change while a template runs, or holds scopes; values name it by its number.
enum TemplateObject {
  case namespace(TemplateNamespace)
  case macro(TemplateMacro, scope: TemplateScope)
  case loop(TemplateLoopState)
  case generator(TemplateGenerator)
  case cycler(TemplateCycler)
  case joiner(TemplateCycler)

  var typeName: String {
    switch self {
    case .namespace: "Namespace"
    case .macro: "Macro"
    case .loop: "LoopContext"
    case .generator: "generator"
    case .cycler: "Cycler"
    case .joiner: "Joiner"
    }
  }
}

final class TemplateNamespace {
  private(set) var names: [TemplateText] = []
  private var values: [TemplateText: TemplateValue] = [:]

  subscript(name: TemplateText) -> TemplateValue? { values[name] }

  /// Names with a leading underscore are refused, as the reference does.
  func set(_ name: TemplateText, _ value: TemplateValue) throws(Failure) {
    guard name.isEmpty || name[0] != "_" else {
      throw Failure(.invalidArgument, "a namespace cannot hold the underscore-prefixed attribute '\(name.string)'")
    }
    if values.updateValue(value, forKey: name) == nil { names.append(name) }
  }
}

/// Items that can be taken once.
final class TemplateGenerator {
  private let items: [TemplateValue]
  private var position = 0

  init(_ items: [TemplateValue]) { self.items = items }

  func next() -> TemplateValue? {
    guard position < items.count else { return nil }
    position += 1
    return items[position - 1]
  }

  func takeAll() -> [TemplateValue] {
    defer { position = items.count }
    return Array(items[position...])
  }
}

/// The state of `cycler(...)`, and of `joiner(separator)`, whose first call gives nothing.
final class TemplateCycler {
  let items: [TemplateValue]
  var position = 0

  init(_ items: [TemplateValue]) { self.items = items }
}

/// The state behind `loop`.
final class TemplateLoopState {
  let loop: TemplateLoop
  let scope: TemplateScope
  /// Nesting of a recursive loop, from 0.
  let depth0: Int
  let items: [TemplateValue]
  /// The next item of `items` to look at.
  var position = 0
  /// Items that passed the loop's filter and wait for their turn.
  var waiting: ArraySlice<TemplateValue> = []
  var index0 = -1
  var current: TemplateValue?
  var previous: TemplateValue?
  var lastChanged: [TemplateValue]?

  init(loop: TemplateLoop, scope: TemplateScope, depth0: Int, items: [TemplateValue]) {
    self.loop = loop
    self.scope = scope
    self.depth0 = depth0
    self.items = items
  }
}

/// Values handed to a call, a filter or a test.
struct TemplateCallArguments {
  var positional: [TemplateValue] = []
  var keywords: [(name: String, value: TemplateValue)] = []

  /// The values in the order of the parameters `names`; nil for those not given.
  func bind(_ names: [String], of function: String) throws(Failure) -> [TemplateValue?] {
    guard positional.count <= names.count else {
      throw Failure(
        .invalidArgument, "\(function) takes at most \(names.count) arguments, \(positional.count) were given")
    }
    var result = [TemplateValue?](repeating: nil, count: names.count)
    for (index, value) in positional.enumerated() { result[index] = value }
    for (name, value) in keywords {
      guard let index = names.firstIndex(of: name) else {
        throw Failure(.invalidArgument, "\(function) takes no keyword argument '\(name)'")
      }
      guard result[index] == nil else {
        throw Failure(.invalidArgument, "\(function) got two values for the argument '\(name)'")
      }
      result[index] = value
    }
    return result
  }
}
