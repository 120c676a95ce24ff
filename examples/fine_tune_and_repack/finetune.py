"""Freeze the body of a packed model, train a new head on it, and pack the result."""

import torch
import wardian


class Body(torch.nn.Module):
    """A model as somebody else has packed it."""

    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh())
        self.head = torch.nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.features(x))


torch.manual_seed(0)
x = torch.randn(64, 8)
wardian.pack(Body().eval(), "received.case", inputs=(x[:2],))

model = wardian.load("received.case")  # from here on, Body is needed no more
model.features.requires_grad_(False)
model.head = torch.nn.Linear(16, 1)

optimizer = torch.optim.Adam(model.head.parameters(), lr=0.05)
target = x[:, :1]
first = torch.nn.functional.mse_loss(model(x), target).item()
for _ in range(100):
    loss = torch.nn.functional.mse_loss(model(x), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {first:.2f} -> {loss.item():.2f}")
assert loss.item() < first / 2

model.eval().zero_grad()
wardian.pack(model, "tuned.case", inputs=(x[:2],))
assert torch.equal(wardian.load("tuned.case")(x), model(x))
