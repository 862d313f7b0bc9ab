internal import DormouseSupport

/// Runs a parsed template once. Statements are here; expressions, filters, tests and methods are extensions.
final class TemplateEvaluator {
  enum Flow { case normal, breakLoop, continueLoop }

  let program: TemplateProgram
  let budget: TemplateBudget
  /// The host's variables by name number; names without one fall back to the functions of every template.
  private let context: [TemplateValue?]
  private(set) var objects: [TemplateObject] = []
  private var output = TemplateOutput()
  /// What the innermost filter or set block has captured.
  var captured = TemplateValue.emptyText
  /// The line of the source that runs.
  var line = 1
  /// Set by `raise_exception`, whose sentence stands for itself.
  var isRaised = false
  private var depth = 0
  private var callDepth = 0

  init(program: TemplateProgram, context: [TemplateValue?], budget: TemplateBudget) {
    self.program = program
    self.context = context
    self.budget = budget
  }

  /// The rendered prompt.
  func run() throws(Failure) -> TemplateOutput {
    _ = try execute(program.body, TemplateScope(parent: nil))
    return output
  }

  // MARK: Shared with the extensions

  func failure(_ message: String) -> Failure { Failure(.invalidArgument, message) }

  func add(_ object: TemplateObject) -> TemplateValue {
    objects.append(object)
    return .object(objects.count - 1)
  }

  func generator(_ items: [TemplateValue]) -> TemplateValue { add(.generator(TemplateGenerator(items))) }

  /// Runs `body` one level deeper.
  func nested<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    depth += 1
    defer { depth -= 1 }
    guard depth <= budget.limits.evaluationDepth else {
      throw Failure(.malformed, "the template runs more than \(budget.limits.evaluationDepth) levels deep")
    }
    try budget.spend(TemplateBudget.step)
    return try body()
  }

  func lookUp(_ name: Int, _ scope: TemplateScope) throws(Failure) -> TemplateValue {
    var cost = TemplateBudget.element
    let found = scope.value(name, cost: &cost)
    try budget.spend(cost)
    if let found { return found }
    if name < context.count, let value = context[name] { return value }
    guard let function = TemplateFunction(rawValue: program.names[name]) else {
      return .undefined(named: program.names[name])
    }
    return .function(function)
  }

  /// What `body` prints, instead of printing it.
  func capture(_ body: () throws(Failure) -> Void) throws(Failure) -> TemplateText {
    var outer = TemplateOutput()
    swap(&outer, &output)
    defer { swap(&outer, &output) }
    try body()
    try budget.spend(output.count)
    return output.text
  }

  func emit(_ value: TemplateValue) throws(Failure) {
    let text = try text(of: value)
    try budget.checkLength(output.count + text.count)
    try budget.spend(text.count)
    output.append(text)
  }

  // MARK: Statements

  func execute(_ nodes: [TemplateNode], _ scope: TemplateScope) throws(Failure) -> Flow {
    try nested { () throws(Failure) in
      for node in nodes {
        line = node.line
        try budget.spend(TemplateBudget.element)
        let flow = try execute(node.statement, scope)
        if flow != .normal { return flow }
      }
      return .normal
    }
  }

  private func execute(_ statement: TemplateStatement, _ scope: TemplateScope) throws(Failure) -> Flow {
    switch statement {
    case .data(let text): try emit(.text(text))
    case .output(let expressions): for expression in expressions { try emit(try evaluate(expression, scope)) }
    case .condition(let branches, let otherwise): return try executeCondition(branches, otherwise, scope)
    case .loop(let loop):
      let items = try items(of: try evaluate(loop.iterable, scope))
      try runLoop(TemplateLoopState(loop: loop, scope: scope, depth0: 0, items: items))
    case .set(let target, let expression): try assign(target, try evaluate(expression, scope), scope)
    case .setBlock(let target, let filter, let body): return try executeSetBlock(target, filter, body, scope)
    case .macro(let macro): scope.set(macro.nameNumber, add(.macro(macro, scope: scope)))
    case .callBlock(let macro, let call): try executeCallBlock(macro, call, scope)
    case .filterBlock(let filter, let body): return try executeFilterBlock(filter, body, scope)
    case .with(let targets, let values, let body): return try executeWith(targets, values, body, scope)
    case .scope(let body): return try execute(body, TemplateScope(parent: scope))
    case .breakLoop: return .breakLoop
    case .continueLoop: return .continueLoop
    }
    return .normal
  }

  private func executeCondition(
    _ branches: [TemplateBranch], _ otherwise: [TemplateNode], _ scope: TemplateScope
  ) throws(Failure) -> Flow {
    for branch in branches {
      try budget.spend(TemplateBudget.element)
      if isTrue(try evaluate(branch.test, scope)) { return try execute(branch.body, scope) }
    }
    return try execute(otherwise, scope)
  }

  private func executeSetBlock(
    _ target: TemplateTarget, _ filter: TemplateExpression?, _ body: [TemplateNode], _ scope: TemplateScope
  ) throws(Failure) -> Flow {
    let inner = TemplateScope(parent: scope)
    var flow = Flow.normal
    let text = try capture { () throws(Failure) in flow = try execute(body, inner) }
    guard flow == .normal else { return flow }
    captured = .text(text)
    let value = if let filter { try evaluate(filter, inner) } else { captured }
    try assign(target, value, scope)
    return .normal
  }

  private func executeFilterBlock(
    _ filter: TemplateExpression, _ body: [TemplateNode], _ scope: TemplateScope
  ) throws(Failure) -> Flow {
    let inner = TemplateScope(parent: scope)
    var flow = Flow.normal
    let text = try capture { () throws(Failure) in flow = try execute(body, inner) }
    guard flow == .normal else { return flow }
    captured = .text(text)
    try emit(try evaluate(filter, inner))
    return .normal
  }

  private func executeWith(
    _ targets: [TemplateTarget], _ values: [TemplateExpression], _ body: [TemplateNode], _ scope: TemplateScope
  ) throws(Failure) -> Flow {
    let inner = TemplateScope(parent: scope)
    for (target, value) in zip(targets, values) { try assign(target, try evaluate(value, scope), inner) }
    return try execute(body, inner)
  }

  private func executeCallBlock(
    _ macro: TemplateMacro, _ call: TemplateExpression, _ scope: TemplateScope
  ) throws(Failure) {
    guard case .call(let callee, let expressions) = call.kind else { return }
    let function = try evaluate(callee, scope)
    var arguments = try evaluate(expressions, scope)
    arguments.keywords.append(("caller", add(.macro(macro, scope: scope))))
    line = call.line
    try emit(try self.call(function, arguments))
  }

  // MARK: Assignment

  func assign(_ target: TemplateTarget, _ value: TemplateValue, _ scope: TemplateScope) throws(Failure) {
    switch target {
    case .name(let name): scope.set(name, value)
    case .attribute(let name, let attribute):
      try budget.spendKey(.text(attribute))
      guard case .object(let number) = try lookUp(name, scope), case .namespace(let namespace) = objects[number] else {
        throw failure("cannot assign attribute '\(attribute.string)' on a non-namespace object")
      }
      try namespace.set(attribute, value)
    case .tuple(let targets):
      let items = try items(of: value)
      guard items.count == targets.count else {
        throw failure("cannot unpack \(items.count) values into \(targets.count) names")
      }
      for (target, item) in zip(targets, items) { try assign(target, item, scope) }
    }
  }

  // MARK: Loops

  func runLoop(_ state: TemplateLoopState) throws(Failure) {
    let loop = state.loop
    let variable = loopName.map { (name: $0, value: add(.loop(state))) }
    // As in the reference, `else` runs unless the body once came to its end.
    var isComplete = false
    while let item = try advance(state) {
      try budget.spend(TemplateBudget.step)
      let scope = TemplateScope(parent: state.scope)
      if let variable { scope.set(variable.name, variable.value) }
      try assign(loop.target, item, scope)
      let flow = try execute(loop.body, scope)
      if flow == .breakLoop { break }
      isComplete = isComplete || flow == .normal
    }
    if !isComplete { _ = try execute(loop.otherwise, TemplateScope(parent: state.scope)) }
  }

  /// The number of the name `loop`; nil when the template never uses it.
  private lazy var loopName = program.names.firstIndex(of: "loop")

  private func advance(_ state: TemplateLoopState) throws(Failure) -> TemplateValue? {
    let next = if let first = state.waiting.popFirst() { Optional(first) } else { try pull(state) }
    guard let next else { return nil }
    state.index0 += 1
    state.previous = state.current
    state.current = next
    return next
  }

  /// The next item that passes the loop's filter.
  private func pull(_ state: TemplateLoopState) throws(Failure) -> TemplateValue? {
    while state.position < state.items.count {
      let item = state.items[state.position]
      state.position += 1
      guard let filter = state.loop.filter else { return item }
      try budget.spend(TemplateBudget.step)
      let scope = TemplateScope(parent: state.scope)
      try assign(state.loop.target, item, scope)
      if isTrue(try evaluate(filter, scope)) { return item }
    }
    return nil
  }

  /// The item after the current one.
  func peek(_ state: TemplateLoopState) throws(Failure) -> TemplateValue? {
    if state.waiting.isEmpty, let next = try pull(state) { state.waiting.append(next) }
    return state.waiting.first
  }

  /// How many items the loop has in all.
  func length(_ state: TemplateLoopState) throws(Failure) -> Int {
    if state.loop.filter == nil { return state.items.count }
    while let next = try pull(state) { state.waiting.append(next) }
    return state.index0 + 1 + state.waiting.count
  }

  // MARK: Macros

  func callMacro(
    _ macro: TemplateMacro, _ outer: TemplateScope, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    callDepth += 1
    let callLine = line
    defer {
      callDepth -= 1
      line = callLine
    }
    guard callDepth <= budget.limits.callDepth else {
      throw Failure(.malformed, "macro '\(macro.name)' is called more than \(budget.limits.callDepth) levels deep")
    }
    let scope = TemplateScope(parent: outer)
    try bind(macro, arguments, scope)
    return .text(try capture { () throws(Failure) in _ = try execute(macro.body, scope) })
  }

  private func bind(
    _ macro: TemplateMacro, _ arguments: TemplateCallArguments, _ scope: TemplateScope
  ) throws(Failure) {
    var keywords = arguments.keywords
    try budget.spend((macro.parameters.count + 1) * (keywords.count + 1) * TemplateBudget.element)
    if macro.special.usesCaller || macro.special.usesKeywords || macro.special.usesArguments {
      try budget.spend(program.names.count * TemplateBudget.wanted)
    }
    var hasCaller = false
    for (index, parameter) in macro.parameters.enumerated() {
      let name = program.names[parameter.name]
      hasCaller = hasCaller || name == "caller"
      if index < arguments.positional.count {
        scope.set(parameter.name, arguments.positional[index])
      } else if let given = keywords.firstIndex(where: { $0.name == name }) {
        scope.set(parameter.name, keywords.remove(at: given).value)
      } else if let defaultValue = parameter.defaultValue {
        scope.set(parameter.name, try evaluate(defaultValue, scope))
      } else {
        scope.set(parameter.name, .undefined(TemplateUndefined("parameter '\(name)' was not provided")))
      }
    }
    if macro.special.usesCaller, !hasCaller {
      let given = keywords.firstIndex { $0.name == "caller" }.map { keywords.remove(at: $0).value }
      setSpecial("caller", given ?? .undefined(TemplateUndefined("No caller defined")), scope)
    }
    try bindRest(macro, arguments, keywords, scope)
  }

  private func bindRest(
    _ macro: TemplateMacro, _ arguments: TemplateCallArguments,
    _ keywords: [(name: String, value: TemplateValue)], _ scope: TemplateScope
  ) throws(Failure) {
    if macro.special.usesKeywords {
      let members = keywords.map { (key: TemplateValue.markup($0.name), value: $0.value) }
      setSpecial("kwargs", .dictionary(try .make(members)), scope)
    } else if let first = keywords.first {
      throw failure("macro '\(macro.name)' takes no keyword argument '\(first.name)'")
    }
    let rest = Array(arguments.positional.dropFirst(macro.parameters.count))
    if macro.special.usesArguments {
      setSpecial("varargs", try .tuple(rest), scope)
    } else if !rest.isEmpty {
      throw failure("macro '\(macro.name)' takes not more than \(macro.parameters.count) argument(s)")
    }
  }

  private func setSpecial(_ name: String, _ value: TemplateValue, _ scope: TemplateScope) {
    if let number = program.names.firstIndex(of: name) { scope.set(number, value) }
  }
}
