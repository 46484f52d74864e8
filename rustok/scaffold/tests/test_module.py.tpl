from apps.tenants import modules


def test_it_is_a_module_of_its_own_that_tenants_can_switch_off() -> None:
    module = next(module for module in modules.all_modules() if module.slug == "${name}")

    assert module.packages == ("apps.${name}",)
    assert not module.is_core
