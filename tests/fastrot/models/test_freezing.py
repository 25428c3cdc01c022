import pytest
import torch

from fastrot.models.network import transfer_network

BLOCKS = [("conv1.", "bn1."), ("layer1.",), ("layer2.",), ("layer3.",), ("layer4.",)]


@pytest.mark.parametrize("blocks", range(6))
def test_frozen_blocks_are_bit_identical_after_training_and_the_others_move(blocks):
    torch.manual_seed(0)
    network = transfer_network(3, depth=10, width=2)
    network.freeze(blocks)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.5, momentum=0.9, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        network(torch.randn(4, 3, 8, 32, 32)).square().sum().backward()
        optimizer.step()
    frozen = tuple(prefix for block in BLOCKS[:blocks] for prefix in block)
    for name, value in network.state_dict().items():
        is_frozen = bool(frozen) and name.startswith(frozen)
        assert torch.equal(value, before[name]) == is_frozen, name


def test_eval_and_train_leave_frozen_batchnorm_in_eval_mode():
    network = transfer_network(3, depth=10, width=2)
    network.freeze(2)
    network.eval()
    network.train()
    assert not network.bn1.training
    assert not network.layer1[0].bn1.training
    assert network.layer2[0].bn1.training
    network.eval()
    assert not network.layer2[0].bn1.training


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    network = transfer_network(3, depth=10, width=2, dropout=0.5)
    clip = torch.randn(2, 3, 8, 32, 32)
    network.eval()
    assert torch.equal(network(clip), network(clip))
    features = network.embed(clip)
    network.train()
    dropped = network.dropout(features)
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], 2 * features[kept])  # scaled by 1 / (1 - p)
    assert 0 < kept.float().mean() < 1
